import type { Bus, BusHandler } from './bus.js'
import { checkBytes, checkName, invalid, unavailable } from './checks.js'
import type { Events } from './events.js'
import type { Subscription } from './presence.js'

/** A bus within this process. */
export class LocalBus implements Bus {
  readonly #events: Events
  readonly #nodes = new Map<string, Set<{ readonly handler: BusHandler }>>()
  #closed = false

  constructor(events: Events) {
    this.#events = events
  }

  async send(node: string, bytes: Uint8Array): Promise<boolean> {
    this.#check(node)
    checkBytes('message', bytes)
    const listeners = this.#nodes.get(node)
    if (listeners) this.#deliver(listeners, new Uint8Array(bytes))
    return listeners !== undefined
  }

  async broadcast(bytes: Uint8Array): Promise<void> {
    this.#check()
    checkBytes('message', bytes)
    const copy = new Uint8Array(bytes)
    for (const listeners of this.#nodes.values()) this.#deliver(listeners, copy)
  }

  async listen(node: string, handler: BusHandler): Promise<Subscription> {
    this.#check(node)
    if (typeof handler !== 'function') throw invalid('The handler must be a function')
    const listener = { handler }
    const listeners = this.#nodes.get(node) ?? new Set()
    this.#nodes.set(node, listeners.add(listener))
    const close = () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#nodes.get(node) === listeners) this.#nodes.delete(node)
    }
    return { close }
  }

  close(): void {
    this.#closed = true
    for (const listeners of this.#nodes.values()) listeners.clear()
    this.#nodes.clear()
  }

  #deliver(listeners: Set<{ readonly handler: BusHandler }>, bytes: Uint8Array): void {
    for (const listener of listeners) {
      queueMicrotask(() => {
        if (listeners.has(listener)) this.#events.guard(() => listener.handler(bytes))
      })
    }
  }

  #check(node?: string): void {
    if (this.#closed) throw unavailable('The engine is closed')
    if (node !== undefined) checkName('node', node)
  }
}
