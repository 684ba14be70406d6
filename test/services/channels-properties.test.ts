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
import { type ChannelOptions, StateAt, type Subscribed } from '../../src/services/pubsub/index.js'
import { manualClock } from '../../src/testing/index.js'
import { ChannelsNode, Peer, slow } from './channels-support.js'

const CHANNELS = {
  small: { history: { size: 3 } },
  brief: { history: { size: 100, ttl: 50 } },
  bounded: { history: { size: 20 }, recover: { limit: 4 } },
  large: { history: { size: 1000 } },
  lossy: { history: { size: 50 }, overflow: 'drop-oldest', queue: { messages: 2 } },
  tagged: { history: { size: 50 } },
  board: { history: { size: 5 }, recover: false },
  exact: { history: { size: 20 } },
} satisfies Record<string, ChannelOptions>
/** What the first peer wants of `tagged`; everybody else wants all. */
const EVEN = { parity: 'even' }
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
  { weight: 4, arbitrary: fc.record({ do: fc.constant('leave' as const), peer }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('return' as const),
      peer,
      node: fc.constantFrom(undefined, undefined, 0, 1),
    }),
  },
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 20, 60) }),
  fc.record({ do: fc.constant('remove' as const), channel }),
  fc.record({ do: fc.constant('restart' as const), clean: fc.boolean() }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** What happened in one subscription, from `subscribe` to its end. */
interface Story {
  readonly channel: string
  readonly filtered: boolean
  readonly since: ChannelPosition | undefined
  begun: Subscribed | undefined
  readonly events: (
    | { readonly value: number; readonly at: ChannelPosition }
    | { readonly recovered: boolean; readonly at: ChannelPosition; readonly state?: unknown }
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
      peer.api.onrecovered((name, { recovered, reason, state }) => {
        if (reason !== 'unavailable' || state !== undefined) {
          this.#open.get(`${at} ${name}`)?.events.push({ recovered, at: place(name), state })
        }
      })
      // Slow enough to lose something of `lossy` now and then.
      peer.capacity = 6
      this.#peers.push(peer)
      peer.connect(this.#nodes[at % 2]!)
      for (const name of NAMES) this.#subscribe(at, name, false)
    }
  }

  /** Two nodes on one engine. */
  #start(): ChannelsNode[] {
    const view = this.#subject.view(this.#engine)
    const end = async (name: string): Promise<ChannelPosition> =>
      (await view.log!.history(`chat:${name}`, { reverse: true, limit: 1 })).position
    const channels = {
      ...CHANNELS,
      board: { ...CHANNELS.board, state: (_ctx: unknown, name: string) => end(name) },
      exact: {
        ...CHANNELS.exact,
        state: async (_ctx: unknown, name: string) => {
          const position = await end(name)
          return new StateAt(position, position)
        },
      },
    }
    return [0, 1].map(() => new ChannelsNode(view, { channels }))
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
      case 'leave':
        return this.#peers[each.peer]!.leave()
      case 'return':
        return this.#peers[each.peer]!.return(each.node === undefined ? undefined : this.#nodes[each.node]!)
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
      .with({ ...(key !== undefined && { key }), tags: { parity: value % 2 ? 'odd' : 'even' } })
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
    const filtered = at === 0 && name === 'tagged'
    const state = name === 'board' || name === 'exact'
    const story: Story = { channel: name, filtered, since, begun: undefined, events: [] }
    this.#open.set(id, story)
    api.subscribe(name, { since, state, ...(filtered && { filter: EVEN }) }).then(
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
    for (const peer of this.#peers) {
      if (peer.id === undefined) peer.connect(this.#nodes[0]!)
      peer.return()
    }
    await this.#settle()
    const last = new Map<string, number>()
    for (const name of NAMES) {
      await this.#publish(1, name)
      // The last one is for everybody.
      if (this.#value % 2) await this.#publish(1, name)
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
  #tell({ channel, filtered, since, begun, events }: Story): void {
    let { epoch, offset } = begun!.recovered ? since! : begun!.position!
    this.#tellState(channel, begun!.state, { epoch, offset })
    for (const event of events) {
      if ('value' in event) {
        expect(this.#stood.get(`${channel} ${event.at.epoch} ${event.at.offset}`)).toBe(event.value)
        if (filtered) offset = this.#pass(channel, epoch, offset, event.at.offset - 1)
        expect(event.at).toEqual({ epoch, offset: offset + 1 })
        offset++
      } else if (event.recovered) {
        if (filtered) offset = this.#pass(channel, epoch, offset, event.at.offset)
        expect(event.at).toEqual({ epoch, offset })
      } else {
        ;({ epoch, offset } = event.at)
        this.#tellState(channel, event.state, event.at)
      }
    }
  }

  /** A state has what came up to the position that it was given with, and of `exact` nothing else. */
  #tellState(channel: string, state: unknown, { epoch, offset }: ChannelPosition): void {
    if (state === undefined) return
    const reached = state as ChannelPosition
    if (channel === 'exact') expect(reached).toEqual({ epoch, offset })
    // One of a later epoch has come before the news of it: the state is given anew after that.
    else if (reached.epoch === epoch) expect(reached.offset).toBeGreaterThanOrEqual(offset)
  }

  /** Goes on over what a filter leaves out, up to an offset. */
  #pass(channel: string, epoch: string, offset: number, end: number): number {
    let at = offset
    while (at < end && this.#stood.get(`${channel} ${epoch} ${at + 1}`)! % 2 === 1) at++
    return at
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
      if (mine?.epoch !== position.epoch) return false
      const passed =
        id === '0 tagged' ? this.#pass(name, mine.epoch, mine.offset, position.offset) : mine.offset
      if (passed !== position.offset) return false
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
    }, 200),
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
    }, 200),
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
    }, 20)
  })
})
