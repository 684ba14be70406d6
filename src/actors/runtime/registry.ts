import type { ActorRef } from './actor-ref.js'

/** An actor has come or gone; a restart is neither. */
export interface RegistryEvent {
  readonly type: 'appeared' | 'disappeared'
  readonly path: string
  readonly ref: ActorRef<never>
}

interface Subscription {
  readonly prefix: string
  readonly listener: (event: RegistryEvent) => void
}

/**
 * Finds actors by address and tells who comes and goes.
 *
 * It holds no actors: the tree is the registry, so that nothing is left behind in it.
 */
export class Registry {
  readonly #root: ActorRef<never>
  readonly #failed: (error: unknown) => void
  readonly #subscriptions = new Set<Subscription>()

  /** @param failed is told what a listener throws */
  constructor(root: ActorRef<never>, failed: (error: unknown) => void) {
    this.#root = root
    this.#failed = failed
  }

  /** The living actor at an address; undefined when there is none. */
  find(path: string): ActorRef<never> | undefined {
    if (path === '' || path === '/') return this.#root
    if (!path.startsWith('/')) return undefined
    let ref: ActorRef<never> | undefined = this.#root
    for (const name of path.slice(1).split('/')) ref = ref?.children.get(name)
    return ref
  }

  /** Tells of the actors at and below an address, first of those that are there. */
  subscribe(path: string, listener: (event: RegistryEvent) => void): () => void {
    const prefix = path === '/' ? '' : path
    const subscription = { prefix, listener }
    const there = this.find(prefix)
    if (there !== undefined) this.#walk(there, subscription)
    this.#subscriptions.add(subscription)
    return () => void this.#subscriptions.delete(subscription)
  }

  /** @internal Tells who subscribed. */
  changed(type: RegistryEvent['type'], ref: ActorRef<never>): void {
    if (this.#subscriptions.size === 0) return
    for (const subscription of this.#subscriptions) {
      const { prefix } = subscription
      if (ref.path === prefix || ref.path.startsWith(`${prefix}/`)) this.#tell(subscription, type, ref)
    }
  }

  #walk(ref: ActorRef<never>, subscription: Subscription): void {
    this.#tell(subscription, 'appeared', ref)
    for (const child of ref.children.values()) this.#walk(child, subscription)
  }

  #tell({ listener }: Subscription, type: RegistryEvent['type'], ref: ActorRef<never>): void {
    try {
      listener({ type, path: ref.path, ref })
    } catch (error) {
      this.#failed(error)
    }
  }
}
