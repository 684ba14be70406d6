import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { Desk } from '../../src/services/model/desk.js'
import { type ModelStorage, memoryStorage, type Stored } from '../../src/services/model/index.js'
import { cleanups, start, type Todo } from './model-support.js'

interface Counted extends Todo {
  readonly count: number
}

const IDS = ['a', 'b', 'c']
const OWNERS = ['10.0.0.0', '10.0.0.1', 'all']
const CLIENTS = 4

const client = fc.nat(CLIENTS - 1)
const id = fc.constantFrom(...IDS)
const fault = fc.constantFrom('before', 'after')
const step = fc.oneof(
  { weight: 9, arbitrary: fc.record({ do: fc.constant('create' as const), client, id, done: fc.boolean() }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('count' as const), client, id }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('done' as const), client, id, done: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('remove' as const), client, id }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('owner' as const),
      node: fc.nat(1),
      id,
      owner: fc.constantFrom(...OWNERS),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('outside' as const), node: fc.nat(1), id }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drop' as const), client }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('toggle' as const), client, what: fc.nat(3) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('fail' as const), fault, times: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('turns' as const), turns: fc.integer({ min: 1, max: 12 }) }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** A storage that takes its time, fails when told to, and keeps all that was ever in it. */
function troubled() {
  const inner = memoryStorage<Todo>()
  const history = new Map<number, Counted | undefined>()
  const faults: string[] = []
  const lost: Todo[] = []
  const trouble = async <T>(run: () => T | Promise<T>): Promise<T> => {
    await new Promise(setImmediate)
    const fault = faults.shift()
    if (fault === 'before') throw new Error('The storage has failed before')
    const result = await run()
    await new Promise(setImmediate)
    if (fault === 'after') throw new Error('The storage has failed after')
    return result
  }
  const keep = (record: Todo, version: unknown): number | undefined => {
    if (typeof version !== 'number') return undefined
    history.set(version, record as Counted)
    return version
  }
  const storage: ModelStorage<Todo> = {
    load: id => trouble(() => inner.load(id)),
    list: request => trouble(() => inner.list(request)),
    create: (id, record) => trouble(() => keep(record, inner.create(id, record))),
    update: (id, record, version) =>
      trouble(() => {
        const before = inner.load(id) as Stored<Counted> | undefined
        const made = keep(record, inner.update(id, record, version))
        // What another writer has counted must not be taken back.
        if (made !== undefined && before && (record as Counted).count < before.record.count) lost.push(record)
        return made
      }),
    remove: (id, version) => trouble(() => inner.remove(id, version) as boolean),
  }
  const all = (): Stored<Counted>[] =>
    IDS.flatMap(id => (inner.load(id) as Stored<Counted> | undefined) ?? [])
  return { storage, inner, faults, history, lost, all }
}

/** With `undefined` in lists, which JSON would take for null. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, part) => (part === undefined ? 'undefined' : part))
}

async function run(steps: readonly Step[]): Promise<void> {
  const engine = memory()
  const { storage, inner, faults, history, lost, all } = troubled()
  const maySee = (ip: string, { owner }: Todo): boolean => owner === 'all' || owner === ip
  const options = {
    authorize: (ctx: { clientIp: string }, _action: string, record: Todo) => maySee(ctx.clientIp, record),
    viewer: (ctx: { clientIp: string }) => ctx.clientIp,
  }
  const nodes = [await start(options, storage, engine), await start(options, storage, engine)]
  const peers = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, index) => {
      const ip = `10.0.0.${index % 2}`
      const { todos, drop } = await nodes[index >> 1]!.connect(ip)
      const record = todos.get('a')
      const watched = [
        todos.query('open'),
        todos.query('byText', undefined, { limit: 3 }),
        todos.query('all', undefined, { offset: 1, limit: 2 }),
        record,
      ]
      const leaves: ((() => void) | undefined)[] = []
      const toggle = (what: number): void => {
        leaves[what]?.()
        leaves[what] = leaves[what] ? undefined : watched[what]!.subscribe(look)
      }
      /** At no time anything is shown that this client may not see. */
      const look = (): void => {
        for (const query of watched.slice(0, 3)) {
          const page = query.getSnapshot() as { records: Counted[] } | undefined
          for (const record of page?.records ?? []) if (!maySee(ip, record)) leaked.push(record)
        }
        const single = record.getSnapshot()
        if (single && !maySee(ip, single)) leaked.push(single)
      }
      for (const what of [0, 1, 2, 3]) toggle(what)
      return { ip, todos, drop, watched, toggle, leaves, record }
    }),
  )
  const leaked: unknown[] = []
  const acknowledged: Counted[] = []
  const writes: Promise<unknown>[] = []
  const write = (promise: Promise<unknown>): void => {
    writes.push(
      promise.then(
        record => record && acknowledged.push(record as Counted),
        () => undefined,
      ),
    )
  }
  for (const step of steps) {
    switch (step.do) {
      case 'create': {
        const { todos, ip } = peers[step.client]!
        write(todos.create({ id: step.id, text: step.id, done: step.done, owner: ip, count: 0 } as Counted))
        break
      }
      case 'count': {
        const { todos, watched } = peers[step.client]!
        const pages = watched.slice(0, 3) as { getSnapshot(): { records: readonly Todo[] } | undefined }[]
        if (!pages.some(page => page.getSnapshot()?.records.some(({ id }) => id === step.id))) break
        write(todos.update(step.id, record => ({ ...record, count: (record as Counted).count + 1 })))
        break
      }
      case 'done':
        write(peers[step.client]!.todos.update(step.id, { done: step.done, text: `${step.done}${step.id}` }))
        break
      case 'remove':
        writes.push(peers[step.client]!.todos.remove(step.id).catch(() => undefined))
        break
      case 'owner':
        write(nodes[step.node]!.api.update(step.id, { owner: step.owner }).then(({ record }) => record))
        break
      case 'outside': {
        const standing = inner.load(step.id) as Stored<Counted> | undefined
        if (standing === undefined) break
        const record = { ...standing.record, text: 'outside' }
        history.set(inner.update(step.id, record, standing.version) as number, record)
        nodes[step.node]!.api.changed(step.id).catch(() => undefined)
        break
      }
      case 'drop':
        peers[step.client]!.drop()
        break
      case 'toggle':
        peers[step.client]!.toggle(step.what)
        break
      case 'fail':
        for (let time = 0; time < step.times; time++) faults.push(step.fault)
        break
      case 'turns':
        for (let turn = 0; turn < step.turns; turn++) await new Promise(setImmediate)
    }
  }
  await Promise.all(writes)
  faults.length = 0
  for (const { leaves, toggle } of peers) {
    for (const what of [0, 1, 2, 3]) if (!leaves[what]) toggle(what)
  }
  const expected = (ip: string) => {
    const seen = all()
      .map(({ record }) => record)
      .filter(record => maySee(ip, record))
    const open = seen.filter(({ done }) => !done)
    const byText = [...seen].sort((one, other) =>
      one.text < other.text ? -1 : one.text > other.text ? 1 : 0,
    )
    return [
      { records: open, total: open.length },
      { records: byText.slice(0, 3), total: seen.length },
      { records: seen.slice(1, 3), total: seen.length },
      seen.find(({ id }) => id === 'a') ?? null,
    ]
  }
  const shown = (): unknown => peers.map(({ watched }) => watched.map(one => one.getSnapshot()))
  const wanted = (): unknown => peers.map(({ ip }) => expected(ip))
  // What the storage has refused to read is asked for again after a while, or with the next connection.
  let turns = 0
  const isRight = (): boolean => textOf(shown()) === textOf(wanted())
  while (!isRight() && turns++ < 20_000) {
    for (const { clock } of nodes) clock.advance(100_000)
    for (const { watched, drop } of peers) {
      if (turns % 200 === 0 && watched.some(({ error }) => error !== undefined)) drop()
    }
    await new Promise(setImmediate)
  }
  expect(shown()).toEqual(wanted())
  expect(leaked).toEqual([])
  expect(lost).toEqual([])
  // Every acknowledged write has been in the storage.
  const stored = [...history.values()].map(record => JSON.stringify(record))
  for (const record of acknowledged) expect(stored).toContain(JSON.stringify(record))
}

const desks = new Set<Desk>()
const { apply } = Desk.prototype
Desk.prototype.apply = function (...change) {
  desks.add(this)
  return apply.apply(this, change)
}

test('every watcher ends equal to the storage, and no acknowledged write is lost', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async steps => {
      await run(steps).finally(async () => {
        for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
      })
      // Nothing stays of those who have gone.
      for (const { entries, queries } of desks) expect([entries.size, queries.size]).toEqual([0, 0])
      desks.clear()
    }),
    { numRuns: Number(process.env.RUNS ?? 40) },
  )
})
