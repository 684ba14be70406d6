import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LEASE, machineCluster } from './machine-cluster-support.js'

const node = fc.nat(2)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), node }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2 * LEASE }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('heal' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), node }) },
)

test('events that were acknowledged are in the state, each once, and all viewers come to see it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 20 }), async steps => {
      const made = machineCluster()
      const { time } = made
      try {
        const start = async (name: string) => {
          const server = await made.start(name)
          const actor = (await server.connect()).get('a')
          /** Counts that its client has seen. */
          const seen: number[] = []
          actor.subscribe(() => seen.push(actor.getSnapshot()!.count as number))
          return { ...server, actor, seen }
        }
        const servers = [await start('0'), await start('1'), await start('2')]
        let [acknowledged, doubtful] = [0, 0]
        const sends: Promise<unknown>[] = []
        let turn = 0
        for (const what of steps) {
          if (what.do === 'pass') await time.advance(what.ms)
          else if (what.do === 'cut') servers[what.node]!.state.isCut = true
          else if (what.do === 'heal') servers[what.node]!.state.isCut = false
          else if (what.do === 'stop') {
            const server = servers[what.node]!
            server.state.isCut = false
            await server.stop({ drain: 1000 })
            servers[what.node] = await start(`${++turn}`)
          } else {
            const send = servers[what.node]!.actor.send({ type: 'add', by: String(what.node) })
            sends.push(
              send.then(
                () => acknowledged++,
                () => doubtful++,
              ),
            )
          }
          await time.settle()
        }
        for (const { state } of servers) state.isCut = false
        await time.until(Promise.all(sends))
        await time.advance(4 * LEASE)
        const views = await time.until(Promise.all(servers.map(({ actor }) => actor.ready())))
        const [count] = views.map(view => view.count)
        expect(views.map(view => view.count)).toEqual(servers.map(() => count))
        expect(count).toBeGreaterThanOrEqual(acknowledged)
        expect(count).toBeLessThanOrEqual(acknowledged + doubtful)
        // Nobody is shown an older state after a newer one.
        for (const { seen } of servers) expect(seen).toEqual([...seen].sort((a, b) => a - b))
        expect(servers.flatMap(({ keys }) => keys())).toEqual(['a'])
      } finally {
        await made.end()
      }
    }),
    { numRuns: 5 },
  )
}, 60_000)
