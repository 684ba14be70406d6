import { KIND } from '../protocol/envelope.js'
import type { ServiceClient } from '../services/service.js'
import { sendCall } from './call.js'
import type { ClientCore } from './core.js'

/** What a client half is given, with the service as the latest welcome has it. */
export interface ServiceHandle extends ServiceClient {
  /** May be another after a reconnect. */
  id: number
  readonly type: string
  /** A new connection: asks for all subscriptions again. */
  renew(): void
  /** What the client half has made of it, once it has. */
  half?: unknown
}

/** One subscription; a second one to the same topic is another, and takes its place. */
export interface Subscription {
  readonly handler: (value: unknown) => void
  /** The number that the server last gave the topic. */
  topic: number
  /** Settles when the server has agreed or refused; another one after a reconnect. */
  ready?: Promise<void>
}

/** Makes the contract's `ServiceClient` over the client; what the welcome says of the service comes upon it. */
export function serviceHandle(core: ClientCore): ServiceHandle {
  const subscriptions = new Map<string, Subscription>()
  const handle: ServiceHandle = {
    host: core,
    send(message, callback, options = {}) {
      // What may be lost is not missed where there is no connection either.
      if (options.volatile && !callback && core.status !== 'connected') return false
      return core.connected.send(handle.id, message, callback, options)
    },
    call: (payload, options) => sendCall(core, KIND.CALL, handle.id, payload, options),
    subscribe(name, handler) {
      let subscription = subscriptions.get(name)
      if (subscription?.handler !== handler) {
        handle.unsubscribe(name)
        subscription = { handler, topic: 0 }
        subscriptions.set(name, subscription)
        subscription.ready = ask(name, subscription)
      }
      return subscription.ready!
    },
    unsubscribe(name) {
      const subscription = subscriptions.get(name)
      subscriptions.delete(name)
      if (subscription && core.topics.get(subscription.topic) === subscription) {
        leave(subscription.topic)
      }
    },
    renew() {
      for (const [name, subscription] of subscriptions) {
        subscription.ready = ask(name, subscription)
        subscription.ready.catch(core.failed)
      }
    },
    debug() {},
  } as Partial<ServiceHandle> as ServiceHandle
  return handle

  async function ask(name: string, subscription: Subscription): Promise<void> {
    // At once, not when the promise resolves: a publication may be the very next frame.
    const agreed = (reply: unknown): void => {
      const { topic } = reply as { topic: number }
      subscription.topic = topic
      if (subscriptions.get(name) === subscription) core.topics.set(topic, subscription)
      // Unless it was subscribed anew meanwhile: then the topic is that one's.
      else if (!subscriptions.has(name)) leave(topic)
    }
    try {
      await sendCall(core, KIND.SUBSCRIBE, handle.id, { ch: name }, {}, agreed)
    } catch (error) {
      // Refused for good; after a loss it stays, to be asked for again.
      if (core.status === 'connected' && subscriptions.get(name) === subscription) subscriptions.delete(name)
      throw error
    }
  }

  function leave(topic: number): void {
    core.topics.delete(topic)
    core.connected.unsubscribe(topic)
  }
}
