import type { ServiceClient } from '../service.js'

/** The arguments of an event. */
export type EventArgs<M, E extends keyof M> = M[E] extends unknown[] ? M[E] : never

/** The client of a PubSub service: listens to events, subscribes to channels, publishes. */
export interface PubSubClient<M> {
  /**
   * Listens to an event, from wherever it is published: to all, to a channel, to this client.
   *
   * Needs no subscription of its own, and does not subscribe to anything.
   *
   * @returns a function that ends it
   */
  on<E extends keyof M & string>(event: E, listener: (...args: EventArgs<M, E>) => void): () => void
  /** Listens to the next occurrence of an event; returns a function that ends it before. */
  once<E extends keyof M & string>(event: E, listener: (...args: EventArgs<M, E>) => void): () => void
  /**
   * Subscribes to a channel, whose events then reach the listeners.
   *
   * Counted: the subscription ends when `unsubscribe` was called as often as this succeeded.
   * Rejects with what the server refused it with, such as `FORBIDDEN`; that does not count.
   */
  subscribe(channel: string): Promise<void>
  /** Takes back one `subscribe`. */
  unsubscribe(channel: string): void
  /**
   * Publishes to a channel, or with `undefined` to all clients, this one among them.
   *
   * Rejects with `FORBIDDEN` unless the server's `canPublish` allows it.
   */
  publish<E extends keyof M & string>(
    channel: string | undefined,
    event: E,
    ...args: EventArgs<M, E>
  ): Promise<void>
}

type Listener = (...args: never[]) => void

/** The client half of PubSub. */
export const pubsubClient = {
  client<M = Record<string, unknown[]>>(service: ServiceClient): PubSubClient<M> {
    const listeners = new Map<string, Set<{ readonly listener: Listener }>>()
    /** As many entries for each channel as it was subscribed. */
    const channels = new Map<string, true[]>()

    const deliver = (message: unknown): void => {
      if (!Array.isArray(message)) return
      const [event, ...args] = message
      const entries = listeners.get(event) ?? new Set()
      // a copy: one that listens again from within must not be called again
      for (const entry of [...entries]) {
        try {
          if (entries.has(entry)) entry.listener(...(args as never[]))
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
    }
    const on: PubSubClient<M>['on'] = (event, listener) => {
      const entry = { listener: listener as Listener }
      const entries = listeners.get(event) ?? new Set()
      listeners.set(event, entries.add(entry))
      return () => void entries.delete(entry)
    }

    service.onmessage = deliver
    return {
      on,
      once(event, listener) {
        const off = on(event, (...args) => {
          off()
          listener(...args)
        })
        return off
      },
      async subscribe(channel) {
        const entry = channels.get(channel) ?? []
        channels.set(channel, entry)
        entry.push(true)
        try {
          await service.subscribe(channel, deliver)
        } catch (error) {
          entry.pop()
          throw error
        }
      },
      unsubscribe(channel) {
        const entry = channels.get(channel)
        if (entry?.pop() && !entry.length) {
          channels.delete(channel)
          service.unsubscribe(channel)
        }
      },
      async publish(channel, event, ...args) {
        await service.call(['publish', channel, event, ...args])
      },
    }
  },
}
