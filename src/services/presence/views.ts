import { SocketStreamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import { View, type ViewHost } from './view.js'

/** Milliseconds that a channel is kept in view unused: to read it again costs as much as it has members. */
const IDLE = 5000
/** Channels that one server watches at the most. */
const MAX_VIEWS = 100_000
/** Channels that are read again at once: a server with many would keep its engine from everything else. */
const MOST_READS = 16
/** Milliseconds until more is read after a failure. */
const RETRY = 1000

/** What the views of a server share. */
export interface ViewsHost extends Omit<ViewHost, 'run' | 'changed' | 'missed'> {
  readonly log: Logger
}

/** The channels that this server watches, as long as somebody needs them. */
export class Views {
  readonly #host: ViewsHost
  readonly #changed: (channel: string, ...rest: Parameters<ViewHost['changed']>) => void
  readonly #engineName: (channel: string) => string
  readonly #views = new Map<string, View>()
  /** Those that nobody needs any more, longest first, and what keeps them from being closed. */
  readonly #idle = new Map<string, () => void>()
  /** Channels that are to be read again, in their order. */
  readonly #outdated = new Map<string, View>()
  #reads = 0
  #runs = 0

  constructor(
    host: ViewsHost,
    engineName: (channel: string) => string,
    changed: (channel: string, ...rest: Parameters<ViewHost['changed']>) => void,
  ) {
    this.#host = host
    this.#engineName = engineName
    this.#changed = changed
  }

  /** The view of a channel, kept until `release`. @throws SocketStreamError `OVERLOADED` */
  use(channel: string): View {
    let view = this.#views.get(channel)
    if (view === undefined) {
      const [longest] = this.#idle.keys()
      if (this.#views.size >= MAX_VIEWS && longest !== undefined) this.#drop(longest)
      if (this.#views.size >= MAX_VIEWS) {
        throw new SocketStreamError('OVERLOADED', `${MAX_VIEWS} channels are watched; leave some first`)
      }
      const host: ViewHost = {
        ...this.#host,
        run: ++this.#runs,
        missed: () => this.#reload(channel),
        changed: (...change) => this.#changed(channel, ...change),
      }
      view = new View(host, this.#engineName(channel))
      this.#views.set(channel, view)
    }
    this.#idle.get(channel)?.()
    this.#idle.delete(channel)
    view.uses++
    return view
  }

  release(channel: string, view: View): void {
    view.uses--
    if (view.uses > 0 || view.watchers.size > 0 || view.closed) return
    const cancel = this.#host.after(IDLE, () => this.#drop(channel))
    this.#idle.set(channel, cancel)
  }

  /** Does something with a channel whose members have all been read. */
  async with<T>(channel: string, work: (view: View) => T | Promise<T>): Promise<T> {
    const view = this.use(channel)
    try {
      await view.ready()
      return await work(view)
    } finally {
      this.release(channel, view)
    }
  }

  /** The engine may have kept something to itself. */
  reload(): void {
    for (const channel of this.#views.keys()) this.#reload(channel)
  }

  close(): void {
    for (const cancel of this.#idle.values()) cancel()
    this.#idle.clear()
    this.#outdated.clear()
    for (const view of this.#views.values()) view.close()
    this.#views.clear()
  }

  /** Reads a channel again in its turn, or before when it is asked for. */
  #reload(channel: string): void {
    const view = this.#views.get(channel)
    if (view === undefined) return
    view.outdate()
    this.#outdated.set(channel, view)
    this.#read()
  }

  #read(): void {
    for (const [channel, view] of this.#outdated) {
      if (this.#reads >= MOST_READS) return
      this.#outdated.delete(channel)
      if (view.closed) continue
      this.#reads++
      const done = () => {
        this.#reads--
        this.#read()
      }
      view.ready().then(done, error => {
        this.#host.log.warn(`the members of ${channel} cannot be read`, { error })
        // What it shows may be wrong for ever otherwise.
        if (!view.closed) this.#outdated.set(channel, view)
        this.#host.after(RETRY, done)
      })
    }
  }

  #drop(channel: string): void {
    this.#idle.get(channel)?.()
    this.#idle.delete(channel)
    this.#views.get(channel)?.close()
    this.#views.delete(channel)
  }
}
