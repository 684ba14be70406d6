import { Packr } from 'msgpackr'
import type { KeyValue } from '../../engines/engine.js'
import { hasCode, SocketStreamError } from '../../errors.js'

/** How the state of an actor outlives it. */
export interface PersistOptions {
  /** Key of the saved state. Default the actor's address. */
  readonly key?: string
  /** Where it is saved. Default the system's store. */
  readonly store?: KeyValue
  /** Changes between two saves; what is not saved yet is lost in a crash. Default 1: every change is saved. */
  readonly every?: number
  /** Types of the messages after which it is saved, however few the changes. Default: all count alike. */
  readonly on?: readonly string[]
  /** Version of the state's shape; a whole number. Default 1. */
  readonly version?: number
  /**
   * The fencing token of whoever saves, as leases give it: a state that a greater one has claimed is neither loaded nor
   * overwritten, and from the load on those of smaller ones are refused. Default: no claim is made.
   */
  readonly fence?: number
  /** Turns a state that was saved with another version into one of this version. */
  migrate?(saved: unknown, version: number): unknown
}

/** What waits for a save. */
export interface Acknowledgement {
  saved(): void
  failed(error: SocketStreamError): void
}

/** The form of a saved state. */
interface Saved {
  readonly v: number
  /** Missing where no more than a claim was made yet. */
  readonly s?: unknown
  /** The greatest fence of those who had it. */
  readonly f?: number
}

/** Attempts to claim a state that somebody else is writing. */
const CLAIMS = 5

// Carries what machines keep in their context: Map, Set, Date, bytes, cycles. Never sees a client's bytes.
export const packr = new Packr({
  structuredClone: true,
  writeFunction: () => {
    throw new TypeError('a function cannot be saved')
  },
} as ConstructorParameters<typeof Packr>[0])

/** Saves under way by store and key: who loads waits for them. */
const underWay = new WeakMap<KeyValue, Map<string, Promise<unknown>>>()

/**
 * The saved state of one actor: loads and saves it, and holds back what must not be heard before a save.
 *
 * Each save names the version that it follows, so that of two actors with one key only one goes on.
 */
export class Persistence {
  readonly #store: KeyValue
  readonly #saves: Set<Promise<unknown>>
  readonly #key: string
  readonly #options: PersistOptions
  #version = 0
  #changes = 0
  #waiting: Acknowledgement[] = []
  /** Whether a message is in hand: what it acknowledges waits for the save. */
  open = false

  /** @param saves where saves are kept while they are under way */
  constructor(store: KeyValue, key: string, options: PersistOptions, saves: Set<Promise<unknown>>) {
    this.#store = store
    this.#saves = saves
    this.#key = key
    this.#options = options
  }

  /** Whether there are changes that are not saved. */
  get dirty(): boolean {
    return this.#changes > 0
  }

  /**
   * Loads the saved state; undefined when there is none.
   *
   * @param state false to learn no more than which one stands there, so that it can be replaced
   * @throws SocketStreamError `PERSIST_FAILED`
   */
  async load(state = true): Promise<{ readonly state: unknown } | undefined> {
    try {
      await underWay.get(this.#store)?.get(this.#key)
      const saved = this.#options.fence === undefined ? await this.#read() : await this.#claim()
      this.#changes = 0
      if (saved === undefined || !('s' in saved) || !state) return undefined
      const { v, s } = saved
      const { version = 1, migrate } = this.#options
      if (v === version) return { state: s }
      if (migrate === undefined) throw new Error(`it has version ${v}, not ${version}; give persist.migrate`)
      return { state: migrate(s, v) }
    } catch (cause) {
      throw this.#error('could not be restored', cause)
    }
  }

  /** Counts a change; says whether it is to be saved now. */
  changed(messageType: string | undefined): boolean {
    const { every = 1, on } = this.#options
    this.#changes++
    if (messageType !== undefined && on?.includes(messageType)) return true
    return (on === undefined || this.#options.every !== undefined) && this.#changes >= every
  }

  /**
   * Saves a state, which is encoded before this returns. `release` says what follows from the outcome.
   *
   * @throws SocketStreamError (as a rejection) `PERSIST_FAILED`
   */
  save(state: unknown): Promise<void> {
    this.#changes = 0
    const saving = this.#write(state).then(
      version => {
        this.#version = version
      },
      cause => {
        this.#changes++
        throw this.#error('could not be saved', cause)
      },
    )
    this.#note(saving)
    return saving
  }

  /** Holds something back until the next save. */
  hold(acknowledgement: Acknowledgement): void {
    this.#waiting.push(acknowledgement)
  }

  /** Lets go of what is held back: it is saved or need not be, or the actor has failed. */
  release(error?: SocketStreamError): void {
    this.open = false
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const { saved, failed } of waiting) error === undefined ? saved() : failed(error)
  }

  async #read(): Promise<Saved | undefined> {
    const entry = await this.#store.get(this.#key)
    this.#version = entry?.version ?? 0
    return entry && (packr.unpack(entry.value) as Saved)
  }

  /** Reads it, and writes it again under the own fence: what an earlier holder saves from now on is in conflict. */
  async #claim(): Promise<Saved | undefined> {
    const { fence, version: v = 1 } = this.#options
    for (let attempt = 1; ; attempt++) {
      const saved = await this.#read()
      const { f = 0 } = saved ?? {}
      if (f > fence!) throw new Error(`the fence ${fence} is stale, ${f} has been here`)
      if (f === fence) return saved
      try {
        const bytes = packr.pack({ ...(saved ?? { v }), f: fence! } satisfies Saved)
        this.#version = await this.#store.set(this.#key, bytes, { ifVersion: this.#version })
        return saved
      } catch (error) {
        if (attempt === CLAIMS || !hasCode(error) || error.code !== 'ENGINE_CONFLICT') throw error
      }
    }
  }

  async #write(state: unknown): Promise<number> {
    const { version: v = 1, fence } = this.#options
    const bytes = packr.pack({ v, s: state, ...(fence !== undefined && { f: fence }) } satisfies Saved)
    await underWay.get(this.#store)?.get(this.#key)
    return this.#store.set(this.#key, bytes, { ifVersion: this.#version })
  }

  /** Keeps the promise of a save for as long as it takes. */
  #note(saving: Promise<void>): void {
    const saves = underWay.get(this.#store) ?? new Map<string, Promise<unknown>>()
    underWay.set(this.#store, saves)
    const done = saving
      .catch(() => {})
      .then(() => {
        if (saves.get(this.#key) === done) saves.delete(this.#key)
        this.#saves.delete(done)
      })
    saves.set(this.#key, done)
    this.#saves.add(done)
  }

  #error(what: string, cause: unknown): SocketStreamError {
    const why = cause instanceof Error ? cause.message : String(cause)
    const code = hasCode(cause) ? ` (${cause.code})` : ''
    return new SocketStreamError('PERSIST_FAILED', `the state of "${this.#key}" ${what}: ${why}${code}`, {
      cause,
    })
  }
}
