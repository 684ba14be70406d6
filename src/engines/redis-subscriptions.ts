import type { RedisWire } from './redis-wire.js'

/** Channels in one command at most. */
const BATCH = 512

/** A change that waits to be sent with others of its kind. */
interface Waiting {
  readonly channel: string
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Changes of what is subscribed to: one after the other for each channel, many channels in one command. */
export class RedisSubscriptions {
  readonly #wire: RedisWire
  /** The last change under way of each channel. */
  readonly #changes = new Map<string, Promise<void>>()
  /** What goes out at the end of this turn, by kind and group. */
  readonly #batches = new Map<string, Waiting[]>()

  constructor(wire: RedisWire) {
    this.#wire = wire
  }

  /** Subscribes or unsubscribes once what came before has been done. */
  change(channel: string, kind: 'subscribe' | 'unsubscribe'): Promise<void> {
    const before = this.#changes.get(channel)
    const done = before
      ? before.catch(() => undefined).then(() => this.#gather(channel, kind))
      : this.#gather(channel, kind)
    this.#changes.set(channel, done)
    const forget = (): void => {
      if (this.#changes.get(channel) === done) this.#changes.delete(channel)
    }
    done.then(forget, forget)
    return done
  }

  /** The change under way of a channel, if one is. */
  changing(channel: string): Promise<void> | undefined {
    return this.#changes.get(channel)
  }

  #gather(channel: string, kind: 'subscribe' | 'unsubscribe'): Promise<void> {
    return new Promise((resolve, reject) => {
      const name = `${kind} ${this.#wire.group(channel)}`
      const batch = this.#batches.get(name)
      const waiting = { channel, resolve, reject }
      if (batch) {
        batch.push(waiting)
        if (batch.length === BATCH) this.#send(name, kind)
        return
      }
      this.#batches.set(name, [waiting])
      queueMicrotask(() => this.#send(name, kind))
    })
  }

  #send(name: string, kind: 'subscribe' | 'unsubscribe'): void {
    const batch = this.#batches.get(name)
    // Sent already, because it was full.
    if (!batch) return
    this.#batches.delete(name)
    this.#wire[kind](batch.map(({ channel }) => channel)).then(
      () => {
        for (const { resolve } of batch) resolve()
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error)
      },
    )
  }
}
