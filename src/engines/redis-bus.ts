import { Batches } from './batches.js'
import type { Bus, BusHandler } from './bus.js'
import { checkBytes, checkName, invalid, unavailable } from './checks.js'
import type { Events } from './events.js'
import type { Subscription } from './presence.js'
import { MOST_CALLS, type RedisLink } from './redis-link.js'
import { eachMessage, joinMessages } from './redis-messages.js'
import type { RedisNames } from './redis-names.js'

/** Names of nodes whose topics are remembered: past it all are forgotten. */
const MOST_NODES = 1000

/** A message on its way; the first one of a batch has what its senders wait for. */
interface Sending {
  readonly bytes: Buffer
  outcome: Outcome | undefined
}

/** Whether anybody listened. */
interface Outcome {
  readonly heard: Promise<boolean>
  resolve(wasHeard: boolean): void
  reject(reason: unknown): void
}

type Handlers = Set<{ readonly handler: BusHandler }>

/** Bytes from node to node by the publish and subscribe of Redis: what one turn sends to a node is one message. */
export class RedisBus implements Bus {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #events: Events
  readonly #batches = new Batches<string, Sending>((messages, topic) => void this.#send(topic, messages))
  #waiting = 0
  readonly #nodes = new Map<string, string>()
  readonly #topics = new Map<string, { handlers: Handlers; ready: Promise<void> }>()

  constructor(link: RedisLink, names: RedisNames, events: Events) {
    this.#link = link
    this.#names = names
    this.#events = events
    link.beforeCalls(() => this.#batches.flush())
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
    const first = this.#batches.add(topic, { bytes: Buffer.from(bytes), outcome: undefined }, bytes.length)
    // One promise for each batch: who sends much has one of them to look after.
    first.outcome ??= outcome()
    return first.outcome.heard
  }

  async #send(topic: string, messages: readonly Sending[]): Promise<void> {
    try {
      // Who has just stopped listening here must not count.
      const changing = this.#topics.has(topic) ? undefined : this.#link.changing(topic)
      if (changing) await changing.catch(() => undefined)
      const heard = (await this.#link.publish(topic, joinMessages(messages.map(({ bytes }) => bytes)))) > 0
      messages[0]?.outcome?.resolve(heard)
    } catch (error) {
      messages[0]?.outcome?.reject(error)
    } finally {
      this.#waiting -= messages.length
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

function outcome(): Outcome {
  let resolve!: (wasHeard: boolean) => void
  let reject!: (reason: unknown) => void
  const heard = new Promise<boolean>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { heard, resolve, reject }
}
