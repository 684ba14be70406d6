import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LEASE, occupancyCluster } from './occupancy-support.js'

const node = fc.nat(2)
const channel = fc.constantFrom('a', 'b', 'kept:c')
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('subscribe' as const), node, channel }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), node, channel }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2 * LEASE }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), node }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('delay' as const),
      node,
      ms: fc.integer({ min: 1, max: 100 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('heal' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wipe' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), node }) },
)

test('each channel with subscribers comes to be told of on one server that has some, the others on none', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async steps => {
      const { time, engine, start: startServer, end } = occupancyCluster()
      try {
        const start = async (name: string) => {
          const server = await startServer(name)
          return { ...server, client: await server.connect(), has: new Set<string>() }
        }
        const servers = [await start('0'), await start('1'), await start('2')]
        let turn = 2
        for (const what of steps) {
          const server = servers['node' in what ? what.node : 0]!
          const { chat } = server.client.api
          if (what.do === 'subscribe' && !server.has.has(what.channel)) {
            server.has.add(what.channel)
            await time.until(chat.subscribe(what.channel))
          } else if (what.do === 'unsubscribe' && server.has.delete(what.channel)) {
            chat.unsubscribe(what.channel)
          } else if (what.do === 'settle') await time.settle()
          else if (what.do === 'pass') await time.advance(what.ms)
          else if (what.do === 'cut') server.cut()
          else if (what.do === 'refuse') server.state.isCut = true
          else if (what.do === 'lose') server.state.losesReplies = true
          else if (what.do === 'delay') server.state.delay = what.ms
          else if (what.do === 'heal') server.heal()
          else if (what.do === 'wipe') {
            for (const { member } of await engine.occupancy.occupants('$channels/chat')) {
              await engine.occupancy.evict('$channels/chat', member)
            }
          } else if (what.do === 'stop') {
            server.heal()
            await server.stop()
            expect(server.faults).toEqual([])
            servers[what.node] = await start(`${++turn}`)
          }
        }
        for (const server of servers) server.heal()
        await time.advance(6 * LEASE)
        for (const name of ['a', 'b', 'kept:c']) {
          const having = servers.filter(({ has }) => has.has(name))
          const told = servers.filter(({ owned }) => owned.has(name))
          expect(told.length).toBe(having.length > 0 ? 1 : 0)
          if (told.length === 1) expect(having).toContain(told[0])
        }
        for (const { faults } of servers) expect(faults).toEqual([])
        // Nothing is left of those that have stopped.
        const ids = servers.map(({ app }) => app.cluster.id)
        const occupants = await engine.occupancy.occupants('$channels/chat')
        expect(occupants.filter(({ member }) => !ids.includes(member))).toEqual([])
      } finally {
        await end()
      }
    }),
    { numRuns: 25 },
  )
}, 60_000)
