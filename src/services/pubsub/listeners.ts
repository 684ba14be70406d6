import type { Published } from '../../engines/log.js'
import { isThenable } from '../../thenable.js'
import type { Connection, ServiceServer } from '../service.js'
import type { EventArgs } from './client.js'
import { checkName, invalid } from './names.js'

/** Where an event was published that a listener on the server hears. */
export interface Heard {
  readonly channel: string
  /** The client that published it; undefined for the server. */
  readonly connection?: Connection
  /** Where it stands, on a channel with a history. */
  readonly epoch?: string
  readonly offset?: number
}

/** Hears what is published to channels on this server. */
export type ChannelListener<M> = (
  event: keyof M & string,
  args: EventArgs<M, keyof M & string>,
  heard: Heard,
) => unknown

interface Entry {
  readonly fits: (channel: string) => boolean
  readonly call: (event: string, args: readonly unknown[], heard: Heard) => unknown
}

interface Publication {
  readonly message: readonly unknown[]
  readonly heard: Heard
}

/**
 * Listeners on the server by pattern: they hear each publication that this server makes once, in order.
 *
 * What is published from within a listener is heard after what is being told.
 */
export class Listeners {
  readonly #server: ServiceServer
  readonly #entries = new Set<Entry>()
  readonly #waiting: Publication[] = []
  /** The publications under way to the engine, by channel: they are heard in the order of the calls. */
  readonly #last = new Map<string, Promise<void>>()
  #telling = false

  constructor(server: ServiceServer) {
    this.#server = server
  }

  /** Adds one; gives what ends it. @throws SocketStreamError `INVALID_ARGUMENTS` */
  add(pattern: string, listener: (...heard: never) => unknown): () => void {
    if (typeof listener !== 'function') {
      throw invalid("A listener is a function, as in listen('room:*', (event, args, { channel }) => …)")
    }
    const entry = { fits: patternOf(pattern), call: listener as unknown as Entry['call'] }
    this.#entries.add(entry)
    return () => void this.#entries.delete(entry)
  }

  /** Tells what was published. */
  tell(message: readonly unknown[], heard: Heard): void {
    if (!this.#anybody(heard.channel)) return
    this.#waiting.push({ message, heard })
    if (this.#telling) return
    this.#telling = true
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        this.#tell(next)
      }
    } finally {
      this.#telling = false
    }
  }

  /** Tells what is being published, when the engine has it. */
  tellLater(publishing: Promise<Published>, message: readonly unknown[], heard: Heard): void {
    const { channel } = heard
    if (!this.#anybody(channel)) return
    const told = Promise.allSettled([publishing, this.#last.get(channel)]).then(([{ status }]) => {
      if (this.#last.get(channel) === told) this.#last.delete(channel)
      if (status === 'rejected') return undefined
      return publishing.then(({ epoch, offset, duplicate }) => {
        if (!duplicate) this.tell(message, { ...heard, epoch, offset })
      })
    })
    this.#last.set(channel, told)
  }

  #anybody(channel: string): boolean {
    for (const { fits } of this.#entries) if (fits(channel)) return true
    return false
  }

  #tell({ message, heard }: Publication): void {
    const [event, ...args] = message as [string, ...unknown[]]
    for (const entry of [...this.#entries]) {
      if (!entry.fits(heard.channel) || !this.#entries.has(entry)) continue
      try {
        const outcome = entry.call(event, args, heard)
        if (isThenable(outcome)) outcome.then(undefined, error => this.#failed(heard, error))
      } catch (error) {
        this.#failed(heard, error)
      }
    }
  }

  #failed({ channel }: Heard, error: unknown): void {
    this.#server.log.error(`a listener for ${channel} failed`, { error })
  }
}

function patternOf(pattern: string): (channel: string) => boolean {
  const at = checkName(pattern, 'channel').indexOf('*')
  if (at < 0) return channel => channel === pattern
  if (at < pattern.length - 1) {
    throw invalid(
      `'${pattern}' is no pattern; give a name, or a beginning with one * behind it, as in 'room:*'`,
    )
  }
  return channel => channel.startsWith(pattern.slice(0, -1))
}
