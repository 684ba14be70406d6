import fc from 'fast-check'
import { expect } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import type { LogEntry, LogSubscription, Position, Published } from '../../src/engines/log.js'
import { Heard } from '../../src/testing/engine-conformance-fixture.js'
import type { EngineSubject } from '../../src/testing/index.js'

const channel = fc.constantFrom('a', 'b', 'c')
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      channel,
      size: fc.constantFrom(0, 1, 3, 10, 10, 10),
      ttl: fc.constantFrom(undefined, 20, 100, 100_000),
      key: fc.constantFrom(undefined, undefined, undefined, 'x', 'y'),
      count: fc.constantFrom(1, 1, 2, 5),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('subscribe' as const),
      channel,
      /** Which of the positions seen it goes on from; -1 for none. */
      from: fc.integer({ min: -1, max: 30 }),
      past: fc.constantFrom(0, 0, 0, 1),
      limit: fc.constantFrom(3, 1000, 1000),
      latest: fc.boolean(),
      /** Publications that are under way meanwhile. */
      during: fc.constantFrom(0, 1, 3),
    }),
  },
  fc.record({ do: fc.constant('unsubscribe' as const), which: fc.nat(10) }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 10, 50, 99_999, 300_000) }),
  fc.record({ do: fc.constant('remove' as const), channel }),
  fc.record({ do: fc.constant('restart' as const), clean: fc.boolean() }),
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** An engine for the model: its data can be opened again, also as if its process had been killed. */
export interface LogSubject extends EngineSubject {
  advance(ms: number): void
  crash?(): Promise<void>
}

interface ModelChannel {
  epoch: string
  /** Values by offset, from 1 on. */
  values: { value: number; time: number }[]
  floor: number
  ttl: number
  keys: Map<string, { published: Published; until: number }>
}

interface ModelSubscriber {
  readonly channel: string
  readonly heard: Heard<string>
  readonly expected: string[]
  readonly subscription: LogSubscription
}

/**
 * Runs random steps on a log and on a model, and compares after each.
 *
 * @param exact whether the engine keeps all that it is asked to; else it may forget channels without subscribers
 */
export async function followsModel(setup: () => LogSubject, numRuns: number, exact: boolean): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const run = new Run(setup(), exact)
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

class Run {
  readonly #subject: LogSubject
  readonly #exact: boolean
  #engine: Engine
  #now = 0
  #value = 0
  readonly #channels = new Map<string, ModelChannel>()
  readonly #positions: { channel: string; position: Position }[] = []
  /** What ever stood at an epoch and offset of a channel. */
  readonly #stood = new Map<string, number>()
  #subscribers: ModelSubscriber[] = []

  constructor(subject: LogSubject, exact: boolean) {
    this.#subject = subject
    this.#exact = exact
    this.#engine = subject.engine
  }

  async step(each: Step): Promise<void> {
    if (each.do === 'advance') {
      this.#subject.advance(each.ms)
      this.#now += each.ms
      await this.#checkHistories()
    } else if (each.do === 'publish') {
      const calls = Array.from({ length: each.count }, () => this.#publish(each.channel, each))
      for (const call of calls) await call()
    } else if (each.do === 'subscribe') await this.#subscribe(each)
    else if (each.do === 'unsubscribe') {
      const [gone] = this.#subscribers.splice(each.which, 1)
      if (gone) await this.#checkSubscriber(gone)
      gone?.subscription.close()
    } else if (each.do === 'remove') await this.#remove(each.channel)
    else if (this.#subject.reopen) await this.#restart(each.clean)
  }

  async check(): Promise<void> {
    for (const subscriber of this.#subscribers) await this.#checkSubscriber(subscriber)
    await this.#checkHistories()
  }

  async end(): Promise<void> {
    await this.#engine.close()
    await this.#subject.dispose?.()
  }

  async #checkHistories() {
    for (const [name, { epoch }] of this.#channels) {
      const { position, entries } = await this.#engine.log!.history(name)
      if (position.epoch !== epoch) this.#renew(name, position)
      this.#checkEntries(name, position.epoch, entries)
      if (this.#exact) expect(entries.length).toBe(position.offset - this.#floor(this.#channels.get(name)!))
    }
  }

  /** Calls `publish`; the result compares it. */
  #publish(name: string, options: { size: number; ttl?: number | undefined; key?: string | undefined }) {
    const value = ++this.#value
    const { size, ttl, key } = options
    const payload = new Uint8Array(Uint32Array.of(value).buffer)
    const publishing = this.#engine.log!.publish(name, payload, {
      size,
      ...(ttl !== undefined && { ttl }),
      ...(key !== undefined && { key }),
    })
    return async () => {
      const published = await publishing
      const { epoch, offset } = published
      const model =
        this.#channels.get(name)?.epoch === epoch ? this.#channels.get(name)! : this.#renew(name, published)
      const used = key === undefined ? undefined : model.keys.get(key)
      if (used && used.until > this.#now) {
        expect(published).toEqual({ ...used.published, duplicate: true })
        return
      }
      expect(published).toEqual({ epoch, offset: model.values.length + 1, duplicate: false })
      expect(this.#stood.has(`${name} ${epoch} ${offset}`)).toBe(false)
      this.#stood.set(`${name} ${epoch} ${offset}`, value)
      model.floor = Math.max(this.#floor(model), offset - size)
      model.values.push({ value, time: this.#now })
      model.ttl = ttl ?? Number.POSITIVE_INFINITY
      if (key !== undefined) model.keys.set(key, { published, until: this.#now + 300_000 })
      this.#positions.push({ channel: name, position: { epoch, offset } })
      for (const { channel, expected } of this.#subscribers) {
        if (channel === name) expected.push(`${offset} ${value}`)
      }
    }
  }

  async #subscribe({ channel: name, from, past, limit, latest, during }: Step & { do: 'subscribe' }) {
    const seen = this.#positions.filter(({ channel }) => channel === name)
    const start = from < 0 ? undefined : seen[from % seen.length]?.position
    const since = start && { ...start, offset: start.offset + past }
    const heard = new Heard<string>()
    const handler = {
      entry: ({ offset, payload }: LogEntry) => heard.add(`${offset} ${valueIn(payload)}`),
      gap: (reason: string, position: Position) => heard.add(`${reason} ${position.offset}`),
    }
    const publish = () => this.#publish(name, { size: 10 })
    const before = Array.from({ length: during }, publish)
    const subscribing = this.#engine.log!.subscribe(name, handler, { limit, latest, ...(since && { since }) })
    const after = Array.from({ length: during }, publish)
    const subscription = await subscribing
    expect(heard.items).toEqual([])
    for (const call of [...before, ...after]) await call()
    this.#compare(name, subscription, { since, limit, latest })
    const { offset } = subscription.position
    const expected = this.#channels
      .get(name)!
      .values.slice(offset)
      .map(({ value }, at) => `${offset + at + 1} ${value}`)
    this.#subscribers.push({ channel: name, heard, expected, subscription })
  }

  #compare(
    name: string,
    { position, recovered, reason, entries }: LogSubscription,
    { since, limit, latest }: { since: Position | undefined; limit: number; latest: boolean },
  ) {
    const known = this.#channels.get(name)
    const model = known?.epoch === position.epoch ? known : this.#renew(name, position)
    this.#positions.push({ channel: name, position })
    this.#checkEntries(name, position.epoch, entries)
    const offsets = entries.map(entry => entry.offset)
    const missed = since ? position.offset - since.offset : 0
    if (recovered) {
      expect(since?.epoch).toBe(position.epoch)
      expect(offsets).toEqual(Array.from({ length: missed }, (_, i) => since!.offset + i + 1))
      return
    }
    expect(offsets.length <= (latest ? 1 : 0) && offsets.every(offset => offset === position.offset)).toBe(
      true,
    )
    expect(reason === undefined).toBe(since === undefined)
    if (!since || !reason) return
    const floor = this.#floor(model)
    const reasons = {
      epoch: since.epoch !== position.epoch,
      ahead: missed < 0,
      limit: missed > limit,
      trimmed: !this.#exact || since.offset < floor,
    }
    expect(reasons[reason]).toBe(true)
  }

  async #remove(name: string) {
    await this.#engine.log!.remove(name)
    const { position } = await this.#engine.log!.history(name)
    const known = this.#channels.get(name)
    if (!known) return
    expect(position.epoch).not.toBe(known.epoch)
    for (const { channel, expected } of this.#subscribers) if (channel === name) expected.push('epoch 0')
    known.values = []
    this.#channels.delete(name)
    this.#renew(name, position)
  }

  async #restart(clean: boolean) {
    for (const subscriber of this.#subscribers) await this.#checkSubscriber(subscriber)
    this.#subscribers = []
    await this.#engine.close()
    if (!clean) await this.#subject.crash?.()
    this.#engine = this.#subject.reopen!()
    for (const [name, model] of this.#channels) {
      const { position } = await this.#engine.log!.history(name)
      expect(position.epoch === model.epoch).toBe(clean)
      expect(position.offset).toBe(model.values.length)
      if (clean) continue
      // The entries go on under another epoch.
      model.epoch = position.epoch
      for (const [at, { value }] of model.values.entries())
        this.#stood.set(`${name} ${model.epoch} ${at + 1}`, value)
      for (const used of model.keys.values()) used.published = { ...used.published, epoch: model.epoch }
    }
  }

  /** A channel has another epoch than the one known: it is new, or the engine had the right to forget it. */
  #renew(name: string, { epoch }: Position): ModelChannel {
    if (this.#channels.has(name)) {
      expect(this.#exact).toBe(false)
      expect(this.#subscribers.filter(({ channel }) => channel === name)).toEqual([])
    }
    const model = { epoch, values: [], floor: 0, ttl: Number.POSITIVE_INFINITY, keys: new Map() }
    this.#channels.set(name, model)
    return model
  }

  #floor({ values, floor, ttl }: ModelChannel): number {
    const fresh = values.findIndex(({ time }, at) => at >= floor && time + ttl > this.#now)
    return fresh < 0 ? values.length : fresh
  }

  #checkEntries(name: string, epoch: string, entries: readonly LogEntry[]) {
    for (const { offset, payload } of entries) {
      expect(this.#stood.get(`${name} ${epoch} ${offset}`)).toBe(valueIn(payload))
    }
  }

  async #checkSubscriber({ heard, expected }: ModelSubscriber) {
    expect([...(await heard.atLeast(expected.length))]).toEqual(expected)
  }
}

function valueIn(payload: Uint8Array): number {
  return Buffer.from(payload).readUInt32LE()
}
