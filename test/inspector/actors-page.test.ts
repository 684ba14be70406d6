import { EventEmitter } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import { Selections } from '../../src/inspector/actor-selection.js'
import { Inspector } from '../../src/inspector/inspector.js'
import { LogHub } from '../../src/inspector/log-hub.js'
import { inspectorSettings } from '../../src/inspector/options.js'
import { Rates } from '../../src/inspector/rates.js'
import type { InspectorSource, Subject } from '../../src/inspector/source.js'

const MANY = 50_000
const system = new ActorSystem()
const behaviour = { initial: () => ({}), receive() {}, snapshot: () => snapshots++ }
let snapshots = 0
const source = {
  broker: {
    system,
    connections: { byId: new Map() },
    liveSessions: new Map(),
    services: [],
    events: new EventEmitter(),
  },
  api: {},
  env: 'test',
  transports: [],
  logs: new LogHub(undefined),
} as unknown as InspectorSource
const inspector = new Inspector(source, inspectorSettings({}, 'test'))

beforeAll(() => {
  const app = system.spawn('app', behaviour)
  for (let i = 0; i < MANY; i++) app.spawn(`user:${i}`, behaviour)
  const deep = app.children.get('user:7')!
  deep.spawn('order', behaviour)
})
afterAll(() => system.stop())

describe('the tree of 50,000 actors', () => {
  test('is given in windows, of bounded rows and bytes, for which no actor is asked what it shows', () => {
    const top = inspector.actors({})
    expect(top.rows).toMatchObject([{ path: '/app', children: MANY }])
    const page = inspector.actors({ parent: '/app', offset: 49_990, limit: 1_000_000 })
    expect(page).toMatchObject({ total: MANY, offset: 49_990 })
    expect(page.rows.map(({ name }) => name)).toEqual(
      Array.from({ length: 10 }, (_one, i) => `user:${49_990 + i}`),
    )
    const largest = inspector.actors({ parent: '/app', limit: 1_000_000 })
    expect(largest.rows).toHaveLength(500)
    expect(JSON.stringify(largest).length).toBeLessThan(500 * 300)
    expect(snapshots).toBe(0)
  })

  test('is searched, filtered and sorted as a whole', () => {
    for (let i = 0; i < 3; i++) system.find('/app/user:123')!.tell({} as never)
    system.find('/app/user:49999')!.tell({} as never)
    const busiest = inspector.actors({ deep: true, sort: 'handled', descending: true, limit: 2 })
    expect(busiest.rows.map(({ path, handled }) => [path, handled])).toEqual([
      ['/app/user:123', 3],
      ['/app/user:49999', 1],
    ])
    expect(busiest.total).toBe(MANY + 2)
    expect(inspector.actors({ search: 'USER:4999', limit: 3 })).toMatchObject({
      total: 11,
      rows: [{ name: 'user:4999' }, { name: 'user:49990' }, { name: 'user:49991' }],
    })
    expect(inspector.actors({ search: '.*' }).total).toBe(0)
    const byName = inspector.actors({ parent: '/app', sort: 'name', offset: 1, limit: 3 })
    expect(byName.rows.map(({ name }) => name)).toEqual(['user:1', 'user:10', 'user:100'])
    expect(inspector.actors({ search: 'order' }).rows).toMatchObject([{ path: '/app/user:7/order' }])
    expect(inspector.actors({ deep: true, minDepth: 1 }).total).toBe(0)
    expect(inspector.actors({ deep: true, kind: 'router' }).total).toBe(0)
    expect(inspector.actors({ parent: '/app', descending: true, limit: 1 }).rows).toMatchObject([
      { name: 'user:49999' },
    ])
    expect(() => inspector.actors({ parent: '/nobody' })).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND' }),
    )
    expect(() => inspector.actors({ sort: 'size' as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
    )
  })

  test('is kept to a bounded part of details and snapshots', async () => {
    expect(inspector.actor('/app').childPaths).toHaveLength(100)
    const file = await inspector.snapshot()
    expect(file.actors.rows).toHaveLength(10_000)
    expect(file.actors.total).toBe(MANY + 2)
  })

  test('is sampled in a bounded part each second', async () => {
    const gone = new AbortController()
    const watch = inspector.watch({}, gone.signal)
    const { value } = await watch.next()
    expect(value?.point).toMatchObject({ actors: MANY + 3, depth: 0 })
    expect(inspector.overview().depthOf).toEqual({ looked: 10_000, actors: MANY + 3 })
    gone.abort()
    expect(await watch.next()).toMatchObject({ done: true })
    expect(inspector.attached).toBe(false)
  })
})

test('rates are taken at most once a period, each over its own time', () => {
  let now = 0
  const rates = new Rates(1000, () => now)
  const actor = { handled: 10 }
  expect(rates.of(actor)).toBeUndefined()
  now = 500
  actor.handled = 20
  expect(rates.of(actor)).toBeUndefined()
  now = 2000
  expect(rates.of(actor)).toBe(5)
  now = 2999
  actor.handled = 1000
  expect(rates.of(actor)).toBe(5)
  now = 3000
  expect(rates.of(actor)).toBe(980)
})

test('what took long to select is kept for twenty times as long, what took no time is not', () => {
  let now = 0
  const small = new ActorSystem()
  const watched = { rates: new Rates(1000), p99: () => undefined, since: () => undefined }
  const subject = { ...source, broker: { ...source.broker, system: small } } as unknown as Subject
  let slow = 0
  const selections = new Selections(() => {
    // The clock goes on between the two looks at it.
    now += slow
    return now
  })
  const count = () => selections.of(subject, { ...watched, selections }, {}).length
  small.spawn('one', behaviour)
  expect(count()).toBe(1)
  small.spawn('two', behaviour)
  expect(count()).toBe(2)
  slow = 10
  expect(count()).toBe(2)
  slow = 0
  small.spawn('three', behaviour)
  now += 199
  expect(count()).toBe(2)
  now += 1
  expect(count()).toBe(3)
  slow = 10
  expect(count()).toBe(3)
  small.spawn('four', behaviour)
  selections.clear()
  expect(count()).toBe(4)
  small.stop()
})
