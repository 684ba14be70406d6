/**
 * The courses of `exactly-once.test.ts` over TCP, in real time: `npm run test:soak -- --seeds 200 [--seed 7]`.
 *
 * Bundled and started by scripts/soak.js. A seed gives the same traffic and faults again, but not to the millisecond.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { createClient } from '../../src/client/node.js'
import { type FaultProxy, faultProxy } from '../../src/testing/fault-proxy.js'
import { seededRandom } from '../../src/testing/seeded-random.js'
import { ws } from '../../src/transports/ws.js'
import { type CourseClient, courseServer, runCourse, steps, talk } from './course.js'

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' } },
})
const seeds = Number(values.seeds)
const first = Number(values.seed)
if (!(seeds > 0) || !Number.isInteger(first)) throw new Error('--seeds and --seed must be numbers')

/** Milliseconds of a course to one of the clock. */
const SCALE = 8
/** Courses at the same time: they wait, mostly. */
const TOGETHER = 20
/** Milliseconds that a course may take. */
const PATIENCE = 60_000
/** Milliseconds between pings: several looks of the server, which come each second, or clients miss them. */
const PING = 3000
/** Bytes that no course sends. */
const NEVER = 2 ** 30
/** Some are so short that clients come back too late. */
const WINDOWS = [100, 1000, 120_000]

const pause = (ms: number) => sleep(ms / SCALE)

/** What networks do, one time in six. */
function shake(proxy: FaultProxy, draw: () => number): void {
  const bytes = Math.floor(draw() * 400)
  const way = draw() < 0.5 ? 'up' : 'down'
  const kind = draw()
  if (kind < 0.06) proxy.cut()
  else if (kind < 0.12) proxy.cutAfter(bytes, way)
  else if (kind < 0.14) proxy.blackHole(draw() < 0.5 ? way : 'both')
  else if (kind < 0.17) proxy.halfClose(way)
}

/** Waits until both are heard at the same time: one may lose its link while the other one comes back. */
async function settle(clients: readonly CourseClient[]): Promise<void> {
  const heard = (client: CourseClient) => client.api.rpc.echo('is there', 0).catch(() => undefined)
  for (;;) {
    const answers = await Promise.all(clients.map(heard))
    if (!answers.includes(undefined) && clients.every(({ status }) => status === 'connected')) return
    await sleep(20)
  }
}

/** One course; how often a client was resumed. */
async function course(seed: number): Promise<number> {
  const [drawn] = fc.sample(fc.record({ steps, window: fc.constantFrom(...WINDOWS) }), {
    seed,
    numRuns: 1,
    unbiased: true,
  })
  const { window } = drawn!
  // Its own, so that what is asked for stays the same when the faults are changed.
  const draw = seededRandom(seed)
  const transport = ws({ port: 0, host: '127.0.0.1' })
  const server = courseServer({ transport, resume: { window }, limits: { ping: PING } }, pause)
  const clients: CourseClient[] = []
  let proxy: FaultProxy | undefined
  let timer: NodeJS.Timeout | undefined
  try {
    await server.app.start()
    const { port } = server.app.address() as { port: number }
    const opened = await faultProxy({ port, seed, split: 0.3, delay: Math.floor(draw() * 5) })
    proxy = opened
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not over after ${PATIENCE} ms`)), PATIENCE)
    })
    const world = {
      ...server,
      client() {
        const client: CourseClient = createClient({
          url: `ws://127.0.0.1:${opened.port}`,
          timeout: 10_000,
          reconnect: { minDelay: 10, maxDelay: 200 },
          services: { talk },
        })
        clients.push(client)
        return client
      },
      advance: pause,
      until: <T>(work: Promise<T>) => work,
      shake() {
        // Whoever never was connected waits for long in a black hole, and has nothing to resume.
        if (clients.every(({ connectionId }) => connectionId !== undefined)) shake(opened, draw)
      },
      calm() {
        opened.set({ split: 0, delay: 0 })
        // Cuts that wait for their bytes do not come any more.
        for (const way of ['up', 'down'] as const) opened.cutAfter(NEVER, way)
      },
      settle,
    }
    return await Promise.race([runCourse(world, String(seed), drawn!.steps), late])
  } finally {
    clearTimeout(timer)
    for (const client of clients) client.close()
    await proxy?.close()
    await server.app.stop({ drain: 0 })
  }
}

let taken = 0
let resumed = 0
let failed = 0

async function worker(): Promise<void> {
  while (taken < seeds) {
    const seed = first + taken++
    try {
      const times = await course(seed)
      resumed += times
    } catch (error) {
      failed++
      console.error(`seed ${seed} (replay it with --seeds 1 --seed ${seed}):`, error)
    }
  }
}

const began = performance.now()
await Promise.all(Array.from({ length: TOGETHER }, worker))
const spent = (performance.now() - began) / 1000
console.log(
  `courses over TCP: ${seeds} from seed ${first}, ${failed} failed, ${resumed} resumes, ${spent.toFixed(1)} s`,
)
// As often as not, or it would be the other way that is tested.
if (failed > 0 || (seeds >= 20 && resumed < seeds / 2)) process.exitCode = 1
