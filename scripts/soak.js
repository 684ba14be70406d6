/**
 * Soaks the server: `npm run test:soak [-- --seconds 10 --sockets 10000 --seeds 200 --seed 1 --only courses]`.
 *
 * First the courses of test/delivery over TCP with faults, by seed. Then hostile clients beside a well-behaved one;
 * for each attack: the server's memory at its most, and how long the bystander's calls took. Ends with 1 when a
 * course has failed, memory has passed its bound or the bystander was not served.
 */
import { parseArgs } from 'node:util'
import { createClient } from 'socketstream-server/client'
import { Child } from '../benchmarks/child.js'
import { runBundled } from './bundled.js'
import { LIMITS, RESUME } from './soak/limits.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    sockets: { type: 'string', default: '10000' },
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const sockets = Number(values.sockets)
if (!(seconds > 0) || !(sockets > 0)) throw new Error('--seconds and --sockets must be numbers above 0')
const parts = ['courses', 'attacks']
if (values.only !== undefined && !parts.includes(values.only))
  throw new Error(`--only takes ${parts.join(' or ')}`)

if (values.only !== 'attacks') {
  const { seeds, seed } = values
  process.exitCode = await runBundled('test/delivery/tcp.ts', [`--seeds=${seeds}`, `--seed=${seed}`])
}
if (values.only === 'courses') process.exit()

const MiB = 1024 * 1024
/** Milliseconds in which a child answers. */
const PATIENCE = 30_000
/** Milliseconds that no call of the bystander may take. */
const SERVED = 5000
/** What the process may grow by for the garbage that is not collected yet. */
const SLACK = 128 * MiB

/** What a connection takes besides what it holds. */
const CONNECTION = 20 * 1024
/** What all clients that are away may hold. */
const AWAY = RESUME.total + RESUME.connections * CONNECTION
/** What may be kept for a client and wait to be written to it. */
const OUT = RESUME.bytes + LIMITS.outboundBytes
const FILLS = 'connects, fills and drops'

/**
 * Attacks, how many connections make them, and what each of those may hold in the server; and those besides that have
 * lost their links, together.
 */
const ATTACKS = [
  { attack: 'never reads', count: 100, broadcasts: 1000, each: OUT + 256 * 1024, away: AWAY },
  { attack: FILLS, count: 20, broadcasts: 0, each: OUT + LIMITS.inboundBytes, away: AWAY },
  { attack: 'floods', count: 10, broadcasts: 0, each: OUT + LIMITS.inboundBytes },
  { attack: 'huge frames', count: 50, broadcasts: 0, each: LIMITS.maxFrame + LIMITS.inboundBytes },
  { attack: 'opens sockets', count: sockets, broadcasts: 0, each: CONNECTION },
  { attack: 'trickles', count: 200, broadcasts: 0, each: 64 * 1024 },
]

/** Calls one after another until told to stop. */
async function bystander(client, signal) {
  const times = []
  let failed = 0
  while (!signal.aborted) {
    const began = performance.now()
    try {
      await client.api.rpc.echo('hello')
    } catch {
      failed++
    }
    times.push(performance.now() - began)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  times.sort((a, b) => a - b)
  return {
    failed,
    calls: times.length,
    p50: times[times.length >> 1],
    p99: times[Math.floor(times.length * 0.99)],
    max: times.at(-1),
  }
}

/** Looks at the server until the time is over. */
async function watch(server, milliseconds) {
  let rss = 0
  let connections = 0
  let detached = 0
  let givenUp = 0
  /** Whether clients were given up before too many were away: for the bytes kept for them, then. */
  let isTotalReached = false
  const end = performance.now() + milliseconds
  do {
    const seen = await server.ask({}, PATIENCE)
    rss = Math.max(rss, seen.rss)
    connections = Math.max(connections, seen.connections)
    detached = Math.max(detached, seen.detached)
    givenUp = seen.givenUp
    isTotalReached ||= givenUp > 0 && detached < RESUME.connections
    await new Promise(resolve => setTimeout(resolve, 100))
  } while (performance.now() < end)
  return { rss, connections, detached, givenUp, isTotalReached }
}

/** One attack, on a server of its own: what a process has once had it keeps. */
async function round({ attack, count, broadcasts }) {
  const server = new Child('server', new URL('soak/server.js', import.meta.url))
  const { port } = await server.next(PATIENCE)
  const attackers = new Child('attackers', new URL('soak/attacks.js', import.meta.url), [String(port)])
  await attackers.next(PATIENCE)
  const client = createClient({ url: `ws://127.0.0.1:${port}` })
  await client.connect()
  await server.ask({ broadcasts }, PATIENCE)
  if (count > 0) await attackers.ask({ attack, count }, PATIENCE)
  const over = new AbortController()
  const served = bystander(client, over.signal)
  const held = await watch(server, seconds * 1000)
  over.abort()
  const times = await served
  client.close()
  attackers.stop()
  server.stop()
  return { ...held, ...times }
}

const rows = []
let bad = false
const quiet = await round({ attack: 'none', count: 0, broadcasts: 0 })
rows.push(['none', 0, quiet, undefined])
for (const attack of ATTACKS) {
  const seen = await round(attack)
  const bound = quiet.rss + SLACK + attack.count * attack.each + (attack.away ?? 0)
  rows.push([attack.attack, attack.count, seen, bound])
  if (seen.rss > bound || seen.failed > 0 || seen.max > SERVED) bad = true
  if (seen.detached > RESUME.connections) bad = true
}

const mib = bytes => (bytes / MiB).toFixed(0)
console.log(
  `| attack (${seconds} s each) | connections | RSS at most, MiB | bound, MiB | bystander: calls | failed | p50, ms | p99 | longest |`,
)
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
for (const [name, count, seen, bound] of rows) {
  const { calls, failed, p50, p99, max } = seen
  const times = [p50, p99, max].map(ms => ms.toFixed(1)).join(' | ')
  console.log(
    `| ${name} | ${count} | ${mib(seen.rss)} | ${bound === undefined ? '–' : mib(bound)} | ${calls} | ${failed} | ${times} |`,
  )
}
for (const [name, , { detached, givenUp, isTotalReached }] of rows) {
  if (detached === 0) continue
  console.log(`${name}: at most ${detached} of ${RESUME.connections} away, ${givenUp} given up.`)
  if (name !== FILLS || (isTotalReached && detached === RESUME.connections)) continue
  console.log('It has not reached both resume.total and resume.connections: it shows nothing.')
  process.exitCode = 1
}
if (bad) {
  console.log('A bound was passed, or the bystander was not served.')
  process.exitCode = 1
}
