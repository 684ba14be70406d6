import type { Bus, BusHandler } from './bus.js'
import { checkBytes, checkName, invalid, unavailable } from './checks.js'
import type { Events } from './events.js'
import type { Subscription } from './presence.js'
import { MOST_CALLS, type RedisLink } from './redis-link.js'
import { eachMessage } from './redis-messages.js'
import type { RedisNames } from './redis-names.js'
import { type Batch, Outbox } from './redis-outbox.js'

/** Names of nodes whose topics are remembered: past it all are forgotten. */
const MOST_NODES = 1000

type Handlers = Set<{ readonly handler: BusHandler }>

/** Bytes from node to node by the publish and subscribe of Redis: what one turn sends to a node is one message. */
export class RedisBus implements Bus {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #events: Events
  readonly #outbox = new Outbox((topic, batch) => void this.#send(topic, batch))
  #waiting = 0
  readonly #nodes = new Map<string, string>()
  readonly #topics = new Map<string, { handlers: Handlers; ready: Promise<void> }>()

  constructor(link: RedisLink, names: RedisNames, events: Events) {
    this.#link = link
    this.#names = names
    this.#events = events
    link.beforeCalls(() => this.#outbox.flush())
  }

  send(node: string, bytes: Uint8Array): Promise<boolean> {
    try {
      this.#link.checkOpen()
      const topic = this.#nodes.get(node) ?? this.#named(node)
      checkBytes('message', bytes)
      return this.#gather(topic, bytes)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async broadcast(bytes: Uint8Array): Promise<void> {
    this.#link.checkOpen()
    checkBytes('message', bytes)
    await this.#gather(this.#names.of('bus', 'bus', 'all'), bytes)
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

  /** The topic of a node, checked once. @throws SocketStreamError `INVALID_ARGUMENTS` */
  #named(node: string): string {
    checkName('node', node)
    const topic = this.#topic(node)
    if (this.#nodes.size >= MOST_NODES) this.#nodes.clear()
    this.#nodes.set(node, topic)
    return topic
  }

  #gather(topic: string, bytes: Uint8Array): Promise<boolean> {
    if (this.#waiting >= MOST_CALLS) throw unavailable('redis: too many messages wait already; slow down')
    this.#waiting++
    return this.#outbox.add(topic, bytes)
  }

  async #send(topic: string, batch: Batch): Promise<void> {
    try {
      // Who has just stopped listening here must not count.
      const changing = this.#topics.has(topic) ? undefined : this.#link.changing(topic)
      if (changing) await changing.catch(() => undefined)
      batch.resolve((await this.#link.publish(topic, batch.bytes)) > 0)
    } catch (error) {
      batch.reject(error)
    } finally {
      this.#waiting -= batch.count
    }
  }

  #join(topic: string, one: { readonly handler: BusHandler }): Promise<void> {
    const standing = this.#topics.get(topic)
    const handlers: Handlers = standing?.handlers ?? new Set()
    handlers.add(one)
    if (standing) return standing.ready
    const hear = (message: Buffer): void => {
      // One may leave while another hears.
      const hearing = handlers.size === 1 ? handlers : [...handlers]
      for (const { handler } of hearing) this.#events.guard(() => handler(message))
    }
    const ready = this.#link.subscribe(topic, messages => eachMessage(messages, hear))
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
