import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import { Server } from '../../src/server.js'
import { presenceClient } from '../../src/services/presence/client.js'
import { presence } from '../../src/services/presence/index.js'
import { testServer } from '../../src/testing/test-server.js'
import { memory } from '../../src/transports/memory.js'
import { ResumableWire } from '../delivery/wire-support.js'
import { seen } from './presence-support.js'

const GRACE = 2000
const WINDOW = 9000
const RUNS = Number(process.env.RUNS ?? 12)

let stop: (() => Promise<unknown>) | undefined
afterEach(async () => {
  await stop?.()
  stop = undefined
})

/** Servers of one engine under one virtual time; devices are written by hand, so as to be away for as long as wanted. */
async function start(count: number, grace = GRACE) {
  const engine = memoryEngine()
  const heard: string[] = []
  const make = (transport: ReturnType<typeof memory>) =>
    new Server({
      transport,
      engine,
      env: 'test',
      cluster: false,
      resume: { window: WINDOW },
      authenticate: ({ url }) => ({ id: url.slice(1) }),
    }).service('presence', presence<string>({ grace, interval: 0 }))
  const kit = await testServer(make)
  const others = await Promise.all(
    Array.from({ length: count - 1 }, async () => {
      const transport = memory()
      const app = make(transport)
      await kit.until(app.start())
      return { app, transport }
    }),
  )
  const servers = [kit, ...others].map(({ app, transport }) => ({
    api: app.api.presence,
    transport,
    settle: kit.settle,
  }))
  for (const { api } of servers) {
    api.on('joined', (_channel, user) => heard.push(`${user} joined`))
    api.on('left', (_channel, user) => heard.push(`${user} left`))
  }
  stop = async () => {
    for (const { app } of others) await kit.until(app.stop({ drain: 0 }))
    await kit.stop()
    await engine.close()
  }
  const device = async (user: string, at = 0) => {
    const wire = await ResumableWire.open(servers[at]!, {}, { url: `/${user}` })
    let id = -1
    const call = (...asked: unknown[]) => {
      id += 2
      return wire.send([1, 1, id, asked])
    }
    return { wire, call, join: (meta: string) => call('join', 'room', meta, `device-${user}-${at}`) }
  }
  const present = async (at = 0) =>
    (await kit.until(servers[at]!.api.list('room'))).members
      .map(({ user, devices }) => `${user}(${devices.map(({ meta }) => meta).join(',')})`)
      .join(' ')
  return { kit, heard, device, present }
}

describe('a member whose connection is detached', () => {
  test('never leaves when it resumes within its grace', async () => {
    const { kit, heard, device, present } = await start(1)
    const watcher = await kit.connect({ services: { presence: presenceClient }, url: 'memory:/watcher' })
    const room = watcher.api.presence.watch('room')
    const ann = await device('ann')
    await ann.join('a')
    for (let round = 0; round < 5; round++) {
      await ann.wire.lose()
      await kit.advance(GRACE - 500)
      expect([await present(), seen(room)]).toEqual(['ann()', 'ann()'])
      expect(await ann.wire.resume({}, { url: '/ann' })).toMatchObject({ resumed: true })
      await kit.advance(100)
      expect([await present(), seen(room)]).toEqual(['ann(a)', 'ann(a)'])
    }
    // What it said is renewed again from then on: it would hold for 30 s, and silence is no loss before 50 s.
    await kit.advance(40_000)
    expect(await present()).toBe('ann(a)')
    expect(heard).toEqual(['ann joined'])
  })

  test('has left when the grace is over, long before the window; and joins again when it resumes', async () => {
    const { kit, heard, device, present } = await start(1)
    const watcher = await kit.connect({ services: { presence: presenceClient }, url: 'memory:/watcher' })
    const room = watcher.api.presence.watch('room')
    const ann = await device('ann')
    await ann.join('a')
    await ann.wire.lose()
    await kit.advance(GRACE + 1000)
    expect([await present(), seen(room), ...heard]).toEqual(['', '', 'ann joined', 'ann left'])
    expect(await ann.wire.resume({}, { url: '/ann' })).toMatchObject({ resumed: true })
    await kit.advance(100)
    expect([await present(), seen(room)]).toEqual(['ann(a)', 'ann(a)'])
    expect(heard).toEqual(['ann joined', 'ann left', 'ann joined'])
  })

  test('has no second grace when its window ends', async () => {
    const { kit, heard, device } = await start(1, WINDOW + 2000)
    const ann = await device('ann')
    await ann.join('a')
    await ann.wire.lose()
    await kit.advance(WINDOW + 1500)
    expect(heard).toEqual(['ann joined'])
    await kit.advance(1500)
    expect(heard).toEqual(['ann joined', 'ann left'])
  })

  test('leaves at once without a grace, and is back with its connection', async () => {
    const { kit, heard, device, present } = await start(1, 0)
    const ann = await device('ann')
    await ann.join('a')
    await ann.wire.lose()
    await kit.advance(10)
    expect(await present()).toBe('')
    await ann.wire.resume({}, { url: '/ann' })
    expect(await present()).toBe('ann(a)')
    expect(heard).toEqual(['ann joined', 'ann left', 'ann joined'])
  })

  test('stays out when it was removed, and is told so when it resumes', async () => {
    const { kit, device, present } = await start(1)
    const ann = await device('ann')
    await ann.join('a')
    await ann.wire.lose()
    await kit.until(kit.app.api.presence.remove('room', 'ann'))
    await ann.wire.resume({}, { url: '/ann' })
    await kit.advance(40_000)
    expect(await present()).toBe('')
    expect(ann.wire.got.at(-1)).toEqual([0, 1, [-1, 'room']])
  })

  test('gives way to the same device on another connection, and does not come back over it', async () => {
    const { kit, heard, device, present } = await start(1)
    const [before, after] = [await device('ann'), await device('ann')]
    await before.join('old')
    await before.wire.lose()
    await after.join('new')
    expect(await before.wire.resume({}, { url: '/ann' })).toMatchObject({ resumed: true })
    await kit.advance(30_000)
    expect(await present()).toBe('ann(new)')
    expect(heard).toEqual(['ann joined'])
  })
})

const who = fc.nat(3)
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('join' as const), who, meta: fc.constantFrom('1', '2') }),
    fc.record({ do: fc.constant('leave' as const), who }),
    fc.record({ do: fc.constant('lose' as const), who }),
    fc.record({ do: fc.constant('return' as const), who }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(100, 700, 3500, 10_000) }),
  ),
  { minLength: 5, maxLength: 25 },
)

/** Milliseconds past the time of grace in which an end may be told. */
const LATE = 1000

test('on any servers members are who has joined and is not away for longer than the grace', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async course => {
      const { kit, heard, device, present } = await start(2)
      const users = ['ann', 'bob', 'ann', 'bob']
      const devices: (Awaited<ReturnType<typeof device>> & { says: string; away: number | undefined })[] = []
      for (const [at, user] of users.entries()) {
        devices.push({ ...(await device(user, at >> 1)), says: '', away: undefined as number | undefined })
      }
      /** When devices were lost whose connection is over for good. */
      const ghosts = new Map<string, number>()
      for (const step of course) {
        if (step.do === 'pass') await kit.advance(step.ms)
        else {
          const one = devices[step.who]!
          const user = users[step.who]!
          if (step.do === 'return' && one.away !== undefined) {
            const { resumed } = await one.wire.resume({}, { url: `/${user}` })
            const away = kit.elapsed - one.away
            if (away < WINDOW || away > WINDOW + LATE) expect(resumed).toBe(away < WINDOW)
            if (!resumed) {
              if (one.says !== '') ghosts.set(user, Math.max(one.away, ghosts.get(user) ?? 0))
              Object.assign(one, await device(user, step.who >> 1), { says: '' })
            }
            one.away = undefined
          } else if (step.do === 'lose' && one.away === undefined) {
            await one.wire.lose()
            one.away = kit.elapsed
          } else if (step.do === 'join' && one.away === undefined) {
            await one.join(step.meta)
            one.says = step.meta
          } else if (step.do === 'leave' && one.away === undefined) {
            await one.call('leave', 'room')
            one.says = ''
          }
        }
        // Whoever is there is heard of.
        for (const { away, wire } of devices) if (away === undefined) await wire.send([20, wire.recv])
        await kit.advance(1)
        const now = kit.elapsed
        const gone = [
          ...devices.flatMap(({ away, says }) => (says && away ? [away] : [])),
          ...ghosts.values(),
        ]
        // Neither is wrong just then.
        if (gone.some(at => now - at >= GRACE && now - at <= GRACE + LATE)) continue
        const isThere = (at: number | undefined) => at === undefined || now - at < GRACE
        const expected = ['ann', 'bob'].flatMap(user => {
          const own = devices.filter((_, at) => users[at] === user).filter(({ says }) => says !== '')
          const ghost = ghosts.get(user)
          if (!own.some(({ away }) => isThere(away)) && (ghost === undefined || !isThere(ghost))) return []
          const metas = own.filter(({ away }) => away === undefined).map(({ says }) => says)
          return [`${user}(${metas.join(',')})`]
        })
        for (const at of [0, 1]) expect(await present(at)).toBe(expected.join(' '))
        for (const user of ['ann', 'bob']) {
          const told = heard.filter(line => line.startsWith(user))
          // They come and go in turn, and the last that was told is so.
          expect(told).toEqual(told.map((_, at) => `${user} ${at % 2 === 0 ? 'joined' : 'left'}`))
          expect(told.length % 2).toBe(expected.some(text => text.startsWith(user)) ? 1 : 0)
        }
      }
      await stop?.()
      stop = undefined
    }),
    { numRuns: RUNS },
  )
}, 60_000)
