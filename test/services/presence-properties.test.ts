import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { cleanups, seen, startPresence } from './presence-support.js'

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const USERS = ['ann', 'bob', 'cid']
const GRACE = 2000
const RUNS = Number(process.env.RUNS ?? 25)

const who = fc.nat(5)
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('join' as const), who, meta: fc.constantFrom('1', '2', '3') }),
    fc.record({ do: fc.constant('leave' as const), who }),
    fc.record({ do: fc.constant('lose' as const), who }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 1500, 4000) }),
    fc.record({ do: fc.constant('remove' as const), user: fc.constantFrom(...USERS) }),
  ),
  { minLength: 5, maxLength: 25 },
)

/**
 * Six devices of three users on two servers of one engine; a watcher on each.
 *
 * In the end every watcher shows what the devices said last, and users were told to come and go in turn.
 */
test('whatever happens, watchers end equal, and each coming and going is told once', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async course => {
      const clock = manualClock()
      const engine = memory({ clock })
      const options = { grace: GRACE, ttl: 30_000, clock }
      const servers = [await startPresence(options, engine), await startPresence(options, engine)]
      const devices = await Promise.all(
        Array.from({ length: 6 }, (_, at) => servers[at % 2]!.client(USERS[at % 3]!)),
      )
      const watchers = await Promise.all(servers.map(server => server.client('watcher')))
      const rooms = watchers.map(({ presence }) => presence.watch('room'))
      const says: (string | undefined)[] = devices.map(() => undefined)
      const turn = () => new Promise(resolve => setImmediate(resolve))
      const settle = async (ms = 0) => {
        for (let i = 0; i < 8; i++) await turn()
        clock.advance(ms)
        for (let i = 0; i < 8; i++) await turn()
        clock.advance(1)
        for (let i = 0; i < 8; i++) await turn()
      }
      for (const step of course) {
        if (step.do === 'pass') await settle(step.ms)
        else if (step.do === 'remove') {
          await servers[0]!.api.remove('room', step.user)
          await settle()
          devices.forEach((_, at) => {
            if (USERS[at % 3] === step.user) says[at] = undefined
          })
          // They do not know, and would come again: so they leave as well.
          for (const [at, { presence }] of devices.entries())
            if (USERS[at % 3] === step.user) await presence.leave('room').catch(() => {})
        } else {
          const { client, presence, lose } = devices[step.who]!
          if (client.status !== 'connected') await client.connect()
          if (step.do === 'join') {
            says[step.who] = step.meta
            await presence.join('room', step.meta)
          } else if (step.do === 'leave') {
            says[step.who] = undefined
            await presence.leave('room')
          } else {
            const back = new Promise<void>(resolve => {
              const off = client.on('status', status => {
                if (status !== 'connected') return
                off()
                resolve()
              })
            })
            lose()
            await back
          }
        }
      }
      // What was lost is given up, and what is there renewed.
      await settle(GRACE + 2000)
      await settle(2000)
      const expected = USERS.flatMap((user, at) => {
        const metas = [says[at], says[at + 3]].filter(meta => meta !== undefined)
        return metas.length === 0 ? [] : [`${user}(${metas.sort().join(',')})`]
      }).join(' ')
      const sorted = (text: string) =>
        text.replace(/\(([^)]*)\)/g, (_, metas: string) => `(${metas.split(',').sort().join(',')})`)
      for (const room of rooms) {
        await room.ready
        expect(sorted(seen(room))).toBe(expected)
      }
      for (const user of USERS) {
        const told = servers.flatMap(({ heard }) => heard).filter(line => line.startsWith(user))
        const came = told.filter(line => line.includes('joined')).length
        expect(told.length - came).toBe(came - (expected.includes(user) ? 1 : 0))
      }
      expect(await engine.presence.count('presence:room')).toBe(
        says.filter(meta => meta !== undefined).length,
      )
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
      // Who was there may come back to another server.
      clock.advance(GRACE)
      expect(await engine.presence.count('presence:room')).toBe(0)
      await engine.close()
    }),
    { numRuns: RUNS },
  )
}, 60_000)
