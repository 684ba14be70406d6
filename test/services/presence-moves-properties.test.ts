import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GRACE, startFleet } from './moves-support.js'
import { seen } from './presence-support.js'

const SERVERS = 3
const USERS = ['ann', 'bob']
const RUNS = Number(process.env.RUNS ?? 8)

const who = fc.nat(USERS.length - 1)
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('move' as const), who, to: fc.nat(SERVERS - 1) }) },
    fc.record({ do: fc.constant('join' as const), who, meta: fc.constantFrom('1', '2') }),
    fc.record({ do: fc.constant('leave' as const), who }),
    fc.record({ do: fc.constant('watcher' as const), to: fc.nat(SERVERS - 1) }),
    fc.record({ do: fc.constant('away' as const), who, ms: fc.constantFrom(500, GRACE - 500) }),
  ),
  { minLength: 4, maxLength: 14 },
)

/** Devices and a watcher that go from server to server, none for longer than its grace. */
test('wherever connections go, the roster is who has joined, and only who joins and leaves is told', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async course => {
      const fleet = await startFleet(SERVERS, 'ended here')
      const { time, heard, connect, engine } = fleet
      try {
        const watcher = await connect('watcher', SERVERS - 1)
        const shown = watcher.api.presence.watch('room')
        await time.until(shown.ready)
        const devices = []
        for (const user of USERS) devices.push(await connect(user))
        const says = new Map<string, string>()
        const told: string[] = []
        for (const step of course) {
          if (step.do === 'watcher') await watcher.move(step.to)
          else {
            const user = USERS[step.who]!
            const device = devices[step.who]!
            if (step.do === 'move') await device.move(step.to)
            else if (step.do === 'away') {
              await device.away(step.ms)
              await device.move(0)
            } else if (step.do === 'join') {
              if (!says.has(user)) told.push(`${user} joined room`)
              says.set(user, step.meta)
              await time.until(device.api.presence.join('room', step.meta))
            } else {
              if (says.delete(user)) told.push(`${user} left room`)
              await time.until(device.api.presence.leave('room'))
            }
          }
          await time.advance(10)
          await time.settle()
          const roster = [...says].map(([user, meta]) => `${user}(${meta})`).sort()
          await time.until(shown.ready)
          expect(seen(shown)).toBe(roster.join(' '))
          expect(heard).toEqual(told)
          expect(await time.until(engine.presence.count('presence:room'))).toBe(says.size)
        }
        for (const [at, { client, id }] of devices.entries()) {
          expect([USERS[at], client.connectionId]).toEqual([USERS[at], id])
        }
      } finally {
        await fleet.end()
      }
    }),
    { numRuns: RUNS },
  )
}, 60_000)
