import { createHash } from 'node:crypto'
import type { Leases } from '../../engines/lease.js'
import type { Logger } from '../../log.js'
import type { Stay } from './stay.js'
import type { View } from './view.js'
import type { Views } from './views.js'

/** What listeners hear of: users, however many devices. */
export type Coming = 'joined' | 'left'

/** What comings are told with. */
export interface ComingsInit {
  readonly lease: Leases | undefined
  readonly log: Logger
  /** This server's name among others. */
  readonly node: string
  engineName(channel: string): string
  /** Calls back after some milliseconds. */
  later(callback: () => void, ms: number): unknown
  /** Milliseconds that somebody lost has to come back. */
  readonly grace: number
}

/** Milliseconds past the time of grace in which an engine tells that it is over. */
const LINGER = 2000
/** Milliseconds within which several servers hear of one end. */
const TOLD = 60_000

/** Who listens to users that come and go, and the channels kept in view for it. */
export class Comings {
  readonly #init: ComingsInit
  readonly #listeners = {
    joined: new Set<{ readonly call: (channel: string, user: string) => void }>(),
    left: new Set<{ readonly call: (channel: string, user: string) => void }>(),
  }
  /** Views kept open because clients of this server are there, by channel. */
  readonly #heard = new Map<string, { readonly view: View; uses: number }>()
  /** Channels by the connections that they are kept in view for. */
  readonly #byConnection = new Map<string, Set<string>>()

  constructor(init: ComingsInit) {
    this.#init = init
  }

  /** Whether anybody listens. */
  get listenedTo(): boolean {
    return this.#listeners.joined.size + this.#listeners.left.size > 0
  }

  /** Calls back at each from now on; gives the function that ends it. Undefined for an event that is none. */
  on(event: Coming, listener: (channel: string, user: string) => void): (() => void) | undefined {
    if (!Object.hasOwn(this.#listeners, event)) return undefined
    const entry = { call: listener }
    this.#listeners[event].add(entry)
    return () => void this.#listeners[event].delete(entry)
  }

  /** Keeps a channel in view as long as this connection is there. Resolves when its members are known. */
  async hear(connectionId: string, channel: string, views: Views): Promise<void> {
    const channels = this.#byConnection.get(connectionId) ?? new Set()
    const entry = this.#heard.get(channel) ?? { view: views.use(channel), uses: 0 }
    this.#heard.set(channel, entry)
    if (!channels.has(channel)) {
      this.#byConnection.set(connectionId, channels.add(channel))
      entry.uses++
    }
    await entry.view.ready()
  }

  /** A connection is no longer in a channel. */
  forget(connectionId: string, channel: string, views: Views): void {
    const channels = this.#byConnection.get(connectionId)
    if (!channels?.delete(channel)) return
    if (channels.size === 0) this.#byConnection.delete(connectionId)
    const entry = this.#heard.get(channel)
    if (entry === undefined || --entry.uses > 0) return
    // Not before the last one has gone for good, which is to be heard.
    this.#init.later(() => {
      if (entry.uses > 0 || this.#heard.get(channel) !== entry) return
      this.#heard.delete(channel)
      views.release(channel, entry.view)
    }, this.#init.grace + LINGER)
  }

  /** A connection has gone. */
  closed(connectionId: string, views: Views): void {
    for (const channel of [...(this.#byConnection.get(connectionId) ?? [])]) {
      this.forget(connectionId, channel, views)
    }
  }

  /** Tells listeners once: by who keeps the entry, or if that is unclear, by whoever is first. */
  async tell(channel: string, event: Coming, stay: Stay, reason: 'left' | 'expired'): Promise<void> {
    const { lease, log, node, engineName } = this.#init
    const listeners = this.#listeners[event]
    if (listeners.size === 0) return
    // Who is away may be removed by any server, also when its own is no more.
    if ((reason === 'expired' || (event === 'left' && stay.away)) && lease !== undefined) {
      const name = `presence:${createHash('sha256')
        .update(`${engineName(channel)}\n${stay.user}\n${stay.device}\n${stay.revision}\n${stay.node}`)
        .digest('base64url')}`
      try {
        if ((await lease.acquire(name, TOLD)) === undefined) return
      } catch (error) {
        // Better twice than never: whoever else is asked has the same trouble.
        log.warn('who tells that somebody has gone cannot be settled', { error })
      }
    } else if (stay.node !== node) return
    for (const { call } of [...listeners]) {
      try {
        call(channel, stay.user)
      } catch (error) {
        log.error(`a listener for '${event}' failed`, { error })
      }
    }
  }
}
