import { ClientClosedError, ClientOfflineError, type RedisClusterType } from 'redis'
import { RedisShards } from './redis-shards.js'
import type { RedisClientLike } from './redis-single.js'
import { slotOf } from './redis-slots.js'
import { RedisTurns } from './redis-turns.js'
import {
  AS_BUFFERS,
  destroy,
  isRefusedForNow,
  type RedisWire,
  type Reply,
  settings,
  type WireEvents,
  type Words,
} from './redis-wire.js'

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
  readonly #turns: RedisTurns
  readonly #shards: RedisShards
  readonly #connected: Promise<void>
  #connect!: () => void
  #closed = false

  constructor(client: ClusterLike, deadline: number, events: WireEvents) {
    this.#events = events
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
    this.#turns = new RedisTurns({ send: (key, words) => this.#send(key, words), wasNotDone }, deadline)
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

  send(key: string, words: Words): Promise<Reply> {
    // Never repeated: what others send later must not overtake it.
    return words[0] === 'SPUBLISH' ? this.#send(key, words) : this.#turns.send(key, words)
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
    this.#turns.close()
    this.#shards.destroy()
    destroy(this.#cluster)
  }

  #send(key: string, words: Words): Promise<Reply> {
    return this.#cluster.sendCommand(key, false, [...words], AS_BUFFERS) as Promise<unknown> as Promise<Reply>
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
  return error instanceof ClientOfflineError || error instanceof ClientClosedError || isRefusedForNow(error)
}
