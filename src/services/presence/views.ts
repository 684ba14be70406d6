import { SocketStreamError } from '../../errors.js'
import { View, type ViewHost } from './view.js'

/** Milliseconds that a channel is kept in view unused: to read it again costs as much as it has members. */
const IDLE = 5000
/** Channels that one server watches at the most. */
const MAX_VIEWS = 100_000

/** The channels that this server watches, as long as somebody needs them. */
export class Views {
  readonly #host: Omit<ViewHost, 'run' | 'changed'>
  readonly #changed: (channel: string, ...rest: Parameters<ViewHost['changed']>) => void
  readonly #engineName: (channel: string) => string
  readonly #views = new Map<string, View>()
  /** Those that nobody needs any more, longest first, and what keeps them from being closed. */
  readonly #idle = new Map<string, () => void>()
  #runs = 0

  constructor(
    host: Omit<ViewHost, 'run' | 'changed'>,
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
    for (const view of this.#views.values()) view.reload()
  }

  close(): void {
    for (const cancel of this.#idle.values()) cancel()
    this.#idle.clear()
    for (const view of this.#views.values()) view.close()
    this.#views.clear()
  }

  #drop(channel: string): void {
    this.#idle.get(channel)?.()
    this.#idle.delete(channel)
    this.#views.get(channel)?.close()
    this.#views.delete(channel)
  }
}
