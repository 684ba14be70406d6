import { KIND } from '../protocol/envelope.js'
import type { ClientCore } from './client.js'
import type { ServiceHandle } from './service-handle.js'

interface Subscription {
  readonly service: ServiceHandle
  readonly name: string
  readonly handler: (value: unknown) => void
  /** The number of the topic on this connection; undefined until the server has agreed. */
  topic: number | undefined
}

/** The subscriptions of a client, made again after every reconnect. */
export class Subscriptions {
  readonly #core: ClientCore
  readonly #all = new Map<string, Subscription>()
  readonly #byTopic = new Map<number, Subscription>()

  constructor(core: ClientCore) {
    this.#core = core
  }

  /** Subscribes; a second subscription to the same topic takes the place of the first. */
  add(service: ServiceHandle, name: string, handler: (value: unknown) => void): Promise<void> {
    this.remove(service, name)
    const subscription: Subscription = { service, name, handler, topic: undefined }
    this.#all.set(key(service, name), subscription)
    return this.#ask(subscription)
  }

  remove(service: ServiceHandle, name: string): void {
    const subscription = this.#all.get(key(service, name))
    if (subscription === undefined) return
    this.#all.delete(key(service, name))
    this.#leave(subscription)
  }

  publication(topic: number, payload: unknown): void {
    this.#byTopic.get(topic)?.handler(payload)
  }

  /** A new connection: asks for everything again. */
  renew(): void {
    for (const subscription of this.#all.values()) {
      this.#ask(subscription).catch(error => this.#core.failed(error))
    }
  }

  /** The connection is gone, and its topic numbers with it. */
  lost(): void {
    this.#byTopic.clear()
    for (const subscription of this.#all.values()) subscription.topic = undefined
  }

  async #ask(subscription: Subscription): Promise<void> {
    const { service, name } = subscription
    // At once, not when the promise resolves: a publication may be the very next frame.
    const agreed = (reply: unknown): void => {
      const { topic } = reply as { topic: number }
      subscription.topic = topic
      if (this.#all.get(key(service, name)) === subscription) this.#byTopic.set(topic, subscription)
      else this.#leave(subscription)
    }
    try {
      await this.#core.call(KIND.SUBSCRIBE, service, { ch: name }, {}, agreed)
    } catch (error) {
      // Refused for good; after a loss it stays, to be asked for again.
      const lost = this.#core.status !== 'connected'
      if (!lost && this.#all.get(key(service, name)) === subscription) this.#all.delete(key(service, name))
      throw error
    }
  }

  #leave({ topic }: Subscription): void {
    if (topic === undefined || this.#core.status !== 'connected') return
    this.#byTopic.delete(topic)
    this.#core.connected.unsubscribe(topic)
  }
}

function key(service: ServiceHandle, name: string): string {
  return `${service.name}/${name}`
}
