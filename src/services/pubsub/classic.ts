import type { TextClient } from '../service.js'

/**
 * The client half for clients of SocketStream 0.4: an emitter of what is published.
 *
 * It names nothing outside itself, as its source is sent. A listener of 0.4 gets the list of an event's
 * arguments as its only one. Channels need subscriptions, which 0.4 has no words for.
 */
export function pubsubTextClient(client: TextClient): unknown {
  const listeners = new Map<string, Set<(args: unknown[]) => void>>()
  const emitter = {
    on(event: string, listener: (args: unknown[]) => void) {
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener))
      return emitter
    },
    once(event: string, listener: (args: unknown[]) => void) {
      const wrapped = (args: unknown[]): void => {
        emitter.removeListener(event, wrapped)
        listener(args)
      }
      return emitter.on(event, wrapped)
    },
    removeListener(event: string, listener: (args: unknown[]) => void) {
      listeners.get(event)?.delete(listener)
      return emitter
    },
  }
  client.onmessage = message => {
    if (!Array.isArray(message)) return
    const [event, ...args] = message
    for (const listener of [...(listeners.get(event) ?? [])]) listener(args)
  }
  return emitter
}
