import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { open } from 'lmdb'
import { afterAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { lmdb } from '../../src/engines/lmdb.js'
import { memory } from '../../src/engines/memory.js'
import type { ChannelPosition } from '../../src/services/pubsub/channels-client.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import type { Subscribed } from '../../src/services/pubsub/index.js'
import { manualClock } from '../../src/testing/index.js'
import { ChannelsNode, Peer, slow } from './channels-support.js'

const CHANNELS = {
  small: { history: { size: 3 } },
  brief: { history: { size: 100, ttl: 50 } },
  bounded: { history: { size: 20 }, recover: { limit: 4 } },
  large: { history: { size: 1000 } },
}
const PEERS = 3
const folder = mkdtempSync(join(tmpdir(), 'channels-'))
afterAll(() => rmSync(folder, { recursive: true }))

const NAMES = Object.keys(CHANNELS) as (keyof typeof CHANNELS)[]

const channel = fc.constantFrom(...NAMES)
const peer = fc.nat(PEERS - 1)
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      node: fc.nat(1),
      channel,
      count: fc.constantFrom(1, 1, 2, 5),
      key: fc.constantFrom(undefined, undefined, undefined, 'x'),
      waits: fc.boolean(),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('pump' as const),
      peer,
      frames: fc.constantFrom(1, 2, 5, 50),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('connect' as const), peer, node: fc.nat(1) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('subscribe' as const), peer, channel, since: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), peer, channel }) },
  fc.record({ do: fc.constant('drop' as const), peer }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 20, 60) }),
  fc.record({ do: fc.constant('remove' as const), channel }),
  fc.record({ do: fc.constant('restart' as const), clean: fc.boolean() }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** What happened in one subscription, from `subscribe` to its end. */
interface Story {
  readonly channel: string
  readonly since: ChannelPosition | undefined
  begun: Subscribed | undefined
  readonly events: (
    | { readonly value: number; readonly at: ChannelPosition }
    | { readonly recovered: boolean; readonly at: ChannelPosition }
  )[]
}

interface Subject {
  readonly engine: Engine
  /** The engine as one node sees it. */
  view(engine: Engine): Engine
  reopen(clean: boolean): Promise<Engine>
  advance(ms: number): void
}

class Run {
  readonly #subject: Subject
  #engine: Engine
  #nodes: ChannelsNode[]
  readonly #peers: Peer[] = []
  readonly #stories: Story[] = []
  /** The subscription of each peer and channel that stands or is asked for. */
  readonly #open = new Map<string, Story>()
  /** Where each peer was when it left a channel. */
  readonly #left = new Map<string, ChannelPosition>()
  readonly #stood = new Map<string, number>()
  #publishing: Promise<unknown>[] = []
  #value = 0

  constructor(subject: Subject) {
    this.#subject = subject
    this.#engine = subject.engine
    this.#nodes = this.#start()
    for (let at = 0; at < PEERS; at++) {
      const peer = new Peer(channelsClient)
      const place = (name: string) => ({ ...peer.api.position(name)! })
      peer.api.on('said', (name, value) => {
        this.#open.get(`${at} ${name}`)?.events.push({ value, at: place(name) })
      })
      peer.api.onrecovered((name, { recovered, reason }) => {
        if (reason !== 'unavailable') {
          this.#open.get(`${at} ${name}`)?.events.push({ recovered, at: place(name) })
        }
      })
      this.#peers.push(peer)
      peer.connect(this.#nodes[at % 2]!)
      for (const name of NAMES) this.#subscribe(at, name, false)
    }
  }

  /** Two nodes on one engine. */
  #start(): ChannelsNode[] {
    return [0, 1].map(() => new ChannelsNode(this.#subject.view(this.#engine), { channels: CHANNELS }))
  }

  async step(each: Step): Promise<void> {
    switch (each.do) {
      case 'publish': {
        const all = Array.from({ length: each.count }, () => this.#publish(each.node, each.channel, each.key))
        if (each.waits) await Promise.all(all)
        return
      }
      case 'pump':
        return void this.#peers[each.peer]!.pump(each.frames)
      case 'subscribe':
        return this.#subscribe(each.peer, each.channel, each.since)
      case 'unsubscribe':
        return this.#unsubscribe(each.peer, each.channel)
      case 'connect':
        return this.#peers[each.peer]!.connect(this.#nodes[each.node]!)
      case 'drop':
        return this.#peers[each.peer]!.drop()
      case 'turn':
        return new Promise(resolve => setImmediate(resolve))
      case 'advance':
        return this.#subject.advance(each.ms)
      case 'remove':
        await Promise.all(this.#publishing)
        return this.#engine.log!.remove(`chat:${each.channel}`)
      case 'restart':
        return this.#restart(each.clean)
    }
  }

  #publish(node: number, name: keyof typeof CHANNELS, key?: string): Promise<unknown> {
    const value = ++this.#value
    const { publish } = this.#nodes[node]!.api
    const done = publish
      .with(key === undefined ? {} : { key })
      .acknowledged(name, 'said', name, value)
      .then(({ epoch, offset, duplicate }) => {
        const place = `${name} ${epoch} ${offset}`
        if (duplicate) return
        expect(this.#stood.has(place)).toBe(false)
        this.#stood.set(place, value)
      })
    this.#publishing.push(done)
    return done
  }

  #subscribe(at: number, name: string, again: boolean): void {
    const { api } = this.#peers[at]!
    const id = `${at} ${name}`
    if (this.#open.has(id)) return
    const since = again ? this.#left.get(id) : undefined
    const story: Story = { channel: name, since, begun: undefined, events: [] }
    this.#open.set(id, story)
    api.subscribe(name, { since }).then(
      begun => {
        story.begun = begun
        this.#stories.push(story)
      },
      // Without a connection: not subscribed.
      () => this.#open.get(id) === story && this.#open.delete(id),
    )
  }

  #unsubscribe(at: number, name: string): void {
    const id = `${at} ${name}`
    const { api } = this.#peers[at]!
    const position = api.position(name)
    if (position && this.#open.get(id)?.begun) this.#left.set(id, position)
    if (this.#open.delete(id)) api.unsubscribe(name)
  }

  async #restart(clean: boolean): Promise<void> {
    await Promise.all(this.#publishing)
    for (const peer of this.#peers) peer.drop()
    for (const { server } of this.#nodes) server.onstop?.()
    await this.#engine.close()
    this.#engine = await this.#subject.reopen(clean)
    this.#nodes = this.#start()
  }

  /** Connects everybody, publishes a last time, and checks every story. */
  async check(): Promise<void> {
    for (const peer of this.#peers) if (peer.id === undefined) peer.connect(this.#nodes[0]!)
    await this.#settle()
    const last = new Map<string, number>()
    for (const name of NAMES) {
      await this.#publish(1, name)
      last.set(name, this.#value)
    }
    await this.#settle()
    for (const story of this.#open.values()) {
      expect(story.begun).toBeDefined()
      const heard = story.events.flatMap(event => ('value' in event ? [event.value] : []))
      expect(heard.at(-1)).toBe(last.get(story.channel))
    }
    for (const story of this.#stories) this.#tell(story)
  }

  /** Reads a story: nothing twice, nothing out of order, no hole that was not told. */
  #tell({ channel, since, begun, events }: Story): void {
    let { epoch, offset } = begun!.recovered ? since! : begun!.position!
    for (const event of events) {
      if ('value' in event) {
        expect(this.#stood.get(`${channel} ${event.at.epoch} ${event.at.offset}`)).toBe(event.value)
        expect(event.at).toEqual({ epoch, offset: offset + 1 })
        offset++
      } else if (event.recovered) expect(event.at).toEqual({ epoch, offset })
      else ({ epoch, offset } = event.at)
    }
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#publishing)
    for (let quiet = 0; quiet < 5; quiet++) {
      await new Promise(setImmediate)
      for (const peer of this.#peers) if (peer.pump() || !peer.idle) quiet = -1
      if (quiet === 4 && !(await this.#upToDate())) quiet = -1
    }
  }

  async #upToDate(): Promise<boolean> {
    for (const id of this.#open.keys()) {
      const [at, name] = id.split(' ') as [number, string]
      const { position } = await this.#engine.log!.history(`chat:${name}`)
      const mine = this.#peers[at]!.api.position(name)
      if (mine?.offset !== position.offset || mine.epoch !== position.epoch) return false
    }
    return true
  }

  async end(): Promise<void> {
    for (const peer of this.#peers) peer.drop()
    for (const { server } of this.#nodes) server.onstop?.()
    await this.#engine.close()
  }
}

async function holds(setup: () => Subject, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 200, size: 'max' }), async steps => {
      const run = new Run(setup())
      try {
        for (const each of steps) await run.step(each)
        await run.check()
      } finally {
        await run.end()
      }
    }),
    { numRuns },
  )
}

describe('no wrong `recovered: true`, nothing twice, nothing out of order', () => {
  test('over the engine in memory', { timeout: 60_000 }, () =>
    holds(() => {
      const clock = manualClock()
      const engine = memory({ clock })
      return { engine, view: all => all, reopen: async () => memory({ clock }), advance: clock.advance }
    }, 500),
  )

  test('over an engine that takes its time', { timeout: 60_000 }, () =>
    holds(() => {
      const clock = manualClock()
      let turns = 0
      const next = () => {
        turns = (turns * 7 + 3) % 5
        return turns
      }
      const engine = memory({ clock })
      return {
        engine,
        view: all => slow(all, next),
        reopen: async () => memory({ clock }),
        advance: clock.advance,
      }
    }, 500),
  )

  test('over lmdb, ended cleanly or not', { timeout: 60_000 }, () => {
    let folders = 0
    return holds(() => {
      const path = join(folder, `${folders++}`)
      const clock = manualClock()
      return {
        engine: lmdb({ path, clock }),
        view: all => all,
        async reopen(clean) {
          if (!clean) {
            const root = open({ path, noSubdir: false, overlappingSync: false })
            root
              .openDB('log.marks', { encoding: 'binary', keyEncoding: 'binary' })
              .putSync(Buffer.from('dead'), Buffer.from('1 none'))
            await root.close()
          }
          return lmdb({ path, clock })
        },
        advance: clock.advance,
      }
    }, 40)
  })
})
