import { slotOf } from './redis-slots.js'
import { type Client, destroy, type WireEvents } from './redis-wire.js'

/** Milliseconds between two looks at whether channels have moved, and before a move is tried again. */
const LOOK = 500
/** Times that a subscription follows a slot that moves meanwhile. */
const MOST_MOVES = 5

/** What is needed of a cluster client to know where channels are. */
export interface Topology {
  /** Anew whenever slots were read. */
  readonly slots: readonly ({ readonly master: Master } | undefined)[]
  /** Asks for a key where it is taken to be: whoever is wrong about it is told, and reads the slots. */
  ask(key: string): Promise<unknown>
}

/** A server of the cluster. */
export interface Master {
  readonly address: string
  readonly client?: { duplicate(): unknown; readonly isReady: boolean } | undefined
}

interface Shard {
  readonly address: string
  readonly client: Client
  wasReady: boolean
}

/**
 * What a cluster is subscribed to: one connection for each master that has such channels.
 *
 * The cluster client's own way is not taken: it does not tell when a subscriber was away, and what goes wrong while it
 * moves channels ends the process.
 */
export class RedisShards {
  readonly #topology: Topology
  readonly #events: WireEvents
  readonly #shards = new Map<string, Shard>()
  /** Channels to be heard. */
  readonly #wanted = new Set<string>()
  /** Where channels are heard. */
  readonly #places = new Map<string, { readonly shard: Shard; readonly slot: number }>()
  readonly #timer: NodeJS.Timeout
  #seen: unknown
  #moving = 0
  #closed = false

  constructor(topology: Topology, events: WireEvents) {
    this.#topology = topology
    this.#events = events
    this.#timer = setInterval(() => this.#look(), LOOK).unref()
  }

  /** Whether all channels are heard. */
  get isWhole(): boolean {
    return this.#moving === 0 && [...this.#shards.values()].every(({ client }) => client.isReady)
  }

  /** Hears channels of one slot. */
  async subscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.#wanted.add(channel)
    try {
      await this.#place(channels)
    } catch (error) {
      for (const channel of channels) this.#wanted.delete(channel)
      throw error
    }
  }

  /** Hears channels no longer. */
  async unsubscribe(channels: readonly string[]): Promise<void> {
    const byShard = new Map<Shard, string[]>()
    for (const channel of channels) {
      this.#wanted.delete(channel)
      const place = this.#places.get(channel)
      if (!place) continue
      this.#places.delete(channel)
      byShard.set(place.shard, [...(byShard.get(place.shard) ?? []), channel])
    }
    await Promise.all([...byShard].map(([{ client }, some]) => client.sUnsubscribe(some)))
  }

  destroy(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const { client } of this.#shards.values()) destroy(client)
    this.#shards.clear()
  }

  async #place(channels: readonly string[]): Promise<void> {
    const first = channels[0] as string
    const slot = slotOf(first)
    for (let moves = 0; ; moves++) {
      const shard = this.#shard(slot)
      try {
        await shard.client.sSubscribe([...channels], this.#hear, true)
        // Ended while it was asked: what it has said counts no longer.
        if (this.#shards.get(shard.address) !== shard) throw new Error('MOVED while it was subscribed to')
        for (const channel of channels) {
          if (this.#wanted.has(channel)) this.#places.set(channel, { shard, slot })
          else shard.client.sUnsubscribe(channel).catch(() => undefined)
        }
        return
      } catch (error) {
        const hasMoved =
          (error as Error).message.startsWith('MOVED') || this.#shards.get(shard.address) !== shard
        if (!hasMoved || this.#closed || moves === MOST_MOVES) throw error
        await this.#topology.ask(first)
      }
    }
  }

  /** The connection to the master of a slot. */
  #shard(slot: number): Shard {
    const master = this.#topology.slots[slot]?.master
    if (this.#closed || !master?.client) throw new Error(`no server of the cluster has the slot ${slot}`)
    const standing = this.#shards.get(master.address)
    if (standing) return standing
    const client = master.client.duplicate() as Client
    const shard: Shard = { address: master.address, client, wasReady: false }
    this.#shards.set(master.address, shard)
    client.on('error', this.#events.failed)
    client.on('ready', () => {
      if (shard.wasReady) this.#events.again()
      else this.#events.ready()
      shard.wasReady = true
    })
    // Both say that it is no longer the one to ask for some of its channels.
    for (const event of ['sharded-channel-moved', '__MOVED']) client.on(event, () => this.#leave(shard))
    client.connect().catch(this.#events.failed)
    return shard
  }

  /** Finds channels whose slot has another master now, and servers that have no slot any more. */
  #look(): void {
    const { slots } = this.#topology
    if (slots === this.#seen || slots.length === 0) return
    this.#seen = slots
    const masters = new Set(slots.map(slot => slot?.master.address))
    const left = new Set([...this.#shards.values()].filter(({ address }) => !masters.has(address)))
    for (const { shard, slot } of this.#places.values()) {
      const address = slots[slot]?.master.address
      if (address !== undefined && address !== shard.address) left.add(shard)
    }
    for (const shard of left) this.#leave(shard)
  }

  /** Ends a connection, and hears its channels where they are now. */
  #leave(shard: Shard): void {
    if (this.#closed || this.#shards.get(shard.address) !== shard) return
    this.#shards.delete(shard.address)
    // Not within its own event: it would hear twice what it is just reading.
    setImmediate(() => destroy(shard.client))
    const bySlot = new Map<number, string[]>()
    for (const [channel, place] of this.#places) {
      if (place.shard !== shard) continue
      this.#places.delete(channel)
      const some = bySlot.get(place.slot)
      if (some) some.push(channel)
      else bySlot.set(place.slot, [channel])
    }
    this.#moving++
    void Promise.all([...bySlot.values()].map(channels => this.#move(channels))).then(() => {
      this.#moving--
      if (!this.#closed) this.#events.again()
    })
  }

  async #move(channels: readonly string[]): Promise<void> {
    while (!this.#closed) {
      const wanted = channels.filter(channel => this.#wanted.has(channel))
      if (wanted.length === 0) return
      try {
        await this.#topology.ask(wanted[0] as string)
        return await this.#place(wanted)
      } catch (error) {
        this.#events.failed(error)
        await new Promise(resolve => setTimeout(resolve, LOOK))
      }
    }
  }

  readonly #hear = (message: Buffer, channel: Buffer): void => this.#events.heard(String(channel), message)
}
