import type { Whom } from './messages.js'

/** What a server has had the others send, as it can be sent again. */
export interface Relayed {
  readonly from: string
  /** Which one it is of that server. */
  readonly number: number
  readonly service: string
  readonly whom: Whom
  /** The packed message. */
  readonly payload: Uint8Array
  readonly except: string | undefined
}

/** How far somebody has heard: the number of the last relay, by server. */
export type Heard = Readonly<Record<string, number>>

/** Relays that are recorded at once; past it what is being recorded is lost. */
const MOST = 10_000
/** Their bytes. */
const MOST_BYTES = 16 * 1024 * 1024
/** Counted for each besides its payload. */
const OVERHEAD = 256
/** Servers whose numbers are remembered. */
const MOST_SERVERS = 1000

/** What was relayed since some moment. */
export interface Recording {
  /** How far this server had heard when it began. */
  readonly since: Heard
  /** Whether there was more than is recorded. */
  readonly isLost: boolean
  /** What came after a moment of another server, in order. */
  after(heard: Heard): Relayed[]
  end(): void
}

/** Numbers of what servers relay, so that two of them can say which each has heard; and a record while it is needed. */
export class Relays {
  readonly #own: string
  /** Asks a server to say its number to all. */
  readonly #ask: (node: string) => void
  readonly #heard = new Map<string, number>()
  /** Each with where it began. */
  readonly #recordings = new Map<Recording, number>()
  #log: Relayed[] = []
  /** How many were let go of before those in the log. */
  #before = 0
  #bytes = 0
  /** Counts the times that too much was recorded. */
  #era = 0
  #sent = 0
  readonly #waiting = new Set<() => void>()
  /** Whether another server has asked for a connection, or was asked: it may not be known to be there yet. */
  isNeeded = false

  constructor(own: string, ask: (node: string) => void) {
    this.#own = own
    this.#ask = ask
  }

  /** How many this server has sent. */
  get sent(): number {
    return this.#sent
  }

  /** Numbers one that this server sends. */
  send(service: string, whom: Whom, payload: Uint8Array, except: string | undefined): number {
    const number = ++this.#sent
    if (this.#isRecording) this.#record({ from: this.#own, number, service, whom, payload, except })
    return number
  }

  /** Notes one that has come. */
  came(relayed: Relayed): void {
    this.reached(relayed.from, relayed.number)
    if (this.#isRecording) this.#record(relayed)
  }

  get #isRecording(): boolean {
    return this.#recordings.size > 0
  }

  /** Nothing up to this number of a server comes any more. */
  reached(from: string, number: number): void {
    const before = this.#heard.get(from)
    if (before !== undefined && before >= number) return
    if (before === undefined && this.#heard.size >= MOST_SERVERS) {
      this.#heard.delete(this.#heard.keys().next().value!)
    }
    this.#heard.set(from, number)
    for (const look of this.#waiting) look()
  }

  /** How far this server has heard, itself included. */
  heard(): Heard {
    return { ...Object.fromEntries(this.#heard), [this.#own]: this.#sent }
  }

  /** Resolves to whether this server has heard as far as another one within so many milliseconds. */
  async reach(heard: Heard, ms: number, isThere: (node: string) => boolean): Promise<boolean> {
    const lacking = () =>
      Object.keys(heard).filter(node => {
        return node !== this.#own && heard[node]! > (this.#heard.get(node) ?? 0) && isThere(node)
      })
    const first = lacking()
    if (first.length === 0) return true
    for (const node of first) this.#ask(node)
    return new Promise(resolve => {
      const end = (isSo: boolean): void => {
        this.#waiting.delete(look)
        clearTimeout(timer)
        resolve(isSo)
      }
      const look = (): void => {
        if (lacking().length === 0) end(true)
      }
      const timer = setTimeout(() => end(lacking().length === 0), ms)
      this.#waiting.add(look)
    })
  }

  /** Records from now on. */
  record(): Recording {
    const era = this.#era
    const start = this.#before + this.#log.length
    const isLost = () => era !== this.#era
    const recording: Recording = {
      since: this.heard(),
      get isLost() {
        return isLost()
      },
      after: heard => {
        const log = isLost() ? [] : this.#log.slice(start - this.#before)
        return log.filter(({ from, number }) => number > (heard[from] ?? 0))
      },
      end: () => {
        if (this.#recordings.delete(recording)) this.#trim()
      },
    }
    this.#recordings.set(recording, start)
    return recording
  }

  /** Lets go of what came before the oldest recording. */
  #trim(): void {
    const [oldest = this.#before + this.#log.length] = this.#recordings.values()
    for (const { payload } of this.#log.splice(0, oldest - this.#before)) {
      this.#bytes -= payload.length + OVERHEAD
    }
    this.#before = oldest
  }

  #record(relayed: Relayed): void {
    this.#bytes += relayed.payload.length + OVERHEAD
    if (this.#log.length >= MOST || this.#bytes > MOST_BYTES) {
      this.#era++
      this.#recordings.clear()
      this.#trim()
      return
    }
    // What is kept of it must not keep what came with it.
    this.#log.push({ ...relayed, payload: Buffer.from(relayed.payload) })
  }
}
