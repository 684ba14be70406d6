import { ClientClosedError, ClientOfflineError, type RedisClusterType } from 'redis'
import { RedisShards } from './redis-shards.js'
import type { RedisClientLike } from './redis-single.js'
import { slotOf } from './redis-slots.js'
import {
  AS_BUFFERS,
  destroy,
  type RedisWire,
  type Reply,
  settings,
  type WireEvents,
  type Words,
} from './redis-wire.js'

/** Milliseconds before what was not done is tried again. */
const RETRY = 50
/** Milliseconds that a server may be away before the slots are read anew. */
const REFRESH = 500

/** The cluster client of node-redis, as far as it is needed. */
interface ClusterLike extends RedisClientLike {
  readonly _options?: { readonly defaults?: { readonly socket?: object } }
}

/** Whether a client is one for a cluster. */
export function isCluster(client: RedisClientLike | undefined): client is ClusterLike {
  return client !== undefined && 'nodeByAddress' in client
}

/** Connections to a Redis Cluster: each call goes to the master of its slot. */
export class RedisClustered implements RedisWire {
  readonly sharded = true
  readonly #cluster: RedisClusterType
  readonly #events: WireEvents
  readonly #deadline: number
  readonly #shards: RedisShards
  readonly #connected: Promise<void>
  #connect!: () => void
  #closed = false

  constructor(client: ClusterLike, deadline: number, events: WireEvents) {
    this.#events = events
    this.#deadline = deadline
    const defaults = client._options?.defaults
    const { commandOptions, ...each } = settings(defaults)
    const overrides = {
      defaults: { ...defaults, ...each },
      commandOptions,
      minimizeConnections: false,
      topologyRefreshOnReconnectionAttemptStrategy: REFRESH,
    }
    this.#cluster = client.duplicate(overrides) as RedisClusterType
    this.#connected = new Promise(resolve => {
      this.#connect = resolve
    })
    const cluster = this.#cluster
    const topology = {
      get slots() {
        return cluster.slots
      },
      ask: (key: string) => cluster.sendCommand(key, false, ['EXISTS', key]),
    }
    this.#shards = new RedisShards(topology, events)
    for (const event of ['error', 'node-error']) this.#cluster.on(event, events.failed)
    this.#cluster.on('node-ready', () => {
      if (this.isReady) events.ready()
    })
  }

  get isReady(): boolean {
    return this.#cluster.isReady
  }

  get isWhole(): boolean {
    const { isReady, masters } = this.#cluster
    return isReady && masters.every(({ client }) => client?.isReady) && this.#shards.isWhole
  }

  connect(): void {
    void this.#begin()
  }

  async send(key: string, words: Words): Promise<Reply> {
    // What others send later must not overtake it.
    const isOrdered = words[0] === 'SPUBLISH'
    const last = performance.now() + this.#deadline
    for (;;) {
      try {
        const reply: unknown = await this.#cluster.sendCommand(key, false, [...words], AS_BUFFERS)
        return reply as Reply
      } catch (error) {
        if (isOrdered || !wasNotDone(error) || this.#closed || performance.now() > last) throw error
        await new Promise(resolve => setTimeout(resolve, RETRY))
      }
    }
  }

  async load(texts: readonly string[]): Promise<void> {
    // Where that fails the script is sent with its first call.
    await Promise.allSettled(
      this.#cluster.masters.flatMap(({ client }) =>
        texts.map(text => client?.sendCommand(['SCRIPT', 'LOAD', text])),
      ),
    )
  }

  group(channel: string): number {
    return slotOf(channel)
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    await this.#connected
    await this.#shards.subscribe(channels)
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#shards.unsubscribe(channels)
  }

  destroy(): void {
    this.#closed = true
    this.#shards.destroy()
    destroy(this.#cluster)
  }

  /** The cluster client gives up when no server answers its first question. */
  async #begin(): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        await this.#cluster.connect()
        break
      } catch (error) {
        this.#events.failed(error)
        await new Promise(resolve => setTimeout(resolve, Math.min(50 * 2 ** attempt, 1000)))
      }
    }
    if (this.#closed) return destroy(this.#cluster)
    this.#connect()
    this.#events.ready()
  }
}

/** Whether a command surely had no effect: it was not sent, or the server has refused it for now. */
function wasNotDone(error: unknown): boolean {
  if (error instanceof ClientOfflineError || error instanceof ClientClosedError) return true
  return /^(CLUSTERDOWN|TRYAGAIN|LOADING|MASTERDOWN|READONLY) /.test((error as Error).message)
}
