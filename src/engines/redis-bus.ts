import type { Bus, BusHandler } from './bus.js'
import { checkBytes, checkName, invalid } from './checks.js'
import type { Events } from './events.js'
import type { Subscription } from './presence.js'
import type { RedisLink } from './redis-link.js'
import type { RedisNames } from './redis-names.js'

type Handlers = Set<{ readonly handler: BusHandler }>

/** Bytes from node to node by the publish and subscribe of Redis. */
export class RedisBus implements Bus {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #events: Events
  readonly #topics = new Map<string, { handlers: Handlers; ready: Promise<void> }>()

  constructor(link: RedisLink, names: RedisNames, events: Events) {
    this.#link = link
    this.#names = names
    this.#events = events
  }

  async send(node: string, bytes: Uint8Array): Promise<boolean> {
    this.#link.checkOpen()
    checkName('node', node)
    checkBytes('message', bytes)
    const copy = Buffer.from(bytes)
    const topic = this.#topic(node)
    // Who has just stopped listening here must not count.
    if (!this.#topics.has(topic)) await this.#link.changing(topic)?.catch(() => undefined)
    return (await this.#link.publish(topic, copy)) > 0
  }

  async broadcast(bytes: Uint8Array): Promise<void> {
    this.#link.checkOpen()
    checkBytes('message', bytes)
    await this.#link.publish(this.#names.of('bus', 'bus', 'all'), Buffer.from(bytes))
  }

  async listen(node: string, handler: BusHandler): Promise<Subscription> {
    this.#link.checkOpen()
    checkName('node', node)
    if (typeof handler !== 'function') throw invalid('The handler must be a function')
    const one = { handler }
    const topics = [this.#topic(node), this.#names.of('bus', 'bus', 'all')]
    const close = () => {
      for (const topic of topics) this.#leave(topic, one)
    }
    try {
      await Promise.all(topics.map(topic => this.#join(topic, one)))
    } catch (error) {
      close()
      throw error
    }
    return { close }
  }

  close(): void {
    for (const { handlers } of this.#topics.values()) handlers.clear()
    this.#topics.clear()
  }

  /** In a cluster all are on one master: between two of them there would be no order. */
  #topic(node: string): string {
    return this.#names.of('bus', 'bus', `n:${node}`)
  }

  #join(topic: string, one: { readonly handler: BusHandler }): Promise<void> {
    const standing = this.#topics.get(topic)
    const handlers: Handlers = standing?.handlers ?? new Set()
    handlers.add(one)
    if (standing) return standing.ready
    const ready = this.#link.subscribe(topic, message => {
      for (const { handler } of [...handlers]) this.#events.guard(() => handler(message))
    })
    this.#topics.set(topic, { handlers, ready })
    return ready
  }

  #leave(topic: string, one: { readonly handler: BusHandler }): void {
    const standing = this.#topics.get(topic)
    if (!standing?.handlers.delete(one) || standing.handlers.size > 0) return
    this.#topics.delete(topic)
    this.#link.unsubscribe(topic)
  }
}
