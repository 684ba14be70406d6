import { createClient } from 'redis'
import {
  AS_BUFFERS,
  type Client,
  destroy,
  type RedisWire,
  type Reply,
  settings,
  type WireEvents,
  type Words,
} from './redis-wire.js'

/** The part of a node-redis client that an engine takes the settings of its own connections from. */
export interface RedisClientLike {
  readonly options?: object
  duplicate(overrides?: object): unknown
}

/** Two connections to one Redis: what is subscribed to must not hold up, or end, the commands. */
export class RedisSingle implements RedisWire {
  readonly sharded = false
  readonly #commands: Client
  readonly #subscriber: Client
  readonly #events: WireEvents
  #wasHearing = false

  constructor(from: { url: string } | { client: RedisClientLike }, events: WireEvents) {
    this.#events = events
    this.#commands = connection(from)
    this.#subscriber = connection(from)
    for (const client of [this.#commands, this.#subscriber]) client.on('error', events.failed)
    this.#commands.on('ready', events.ready)
    this.#subscriber.on('ready', () => {
      if (this.#wasHearing) events.again()
      // Only now is everything there: the commands may have been first.
      else if (this.isReady) events.ready()
      this.#wasHearing = true
    })
  }

  get isReady(): boolean {
    return this.#commands.isReady
  }

  get isWhole(): boolean {
    return this.#commands.isReady && this.#subscriber.isReady
  }

  connect(): void {
    for (const client of [this.#commands, this.#subscriber]) client.connect().catch(this.#events.failed)
  }

  send(_key: string, words: Words): Promise<Reply> {
    return this.#commands.sendCommand(words, AS_BUFFERS) as Promise<unknown> as Promise<Reply>
  }

  load(texts: readonly string[]): Promise<unknown> {
    return Promise.all(texts.map(text => this.#commands.sendCommand(['SCRIPT', 'LOAD', text])))
  }

  group(): number {
    return 0
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    return this.#subscriber.subscribe([...channels], this.#hear, true)
  }

  unsubscribe(channels: readonly string[]): Promise<unknown> {
    return this.#subscriber.unsubscribe([...channels])
  }

  destroy(): void {
    for (const client of [this.#commands, this.#subscriber]) destroy(client)
  }

  readonly #hear = (message: Buffer, channel: Buffer): void => this.#events.heard(String(channel), message)
}

function connection(from: { url: string } | { client: RedisClientLike }): Client {
  if (!('client' in from)) return createClient({ url: from.url, ...settings() }) as Client
  return from.client.duplicate(settings(from.client.options as { socket?: object } | undefined)) as Client
}
