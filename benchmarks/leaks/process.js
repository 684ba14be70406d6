/**
 * The whole stack in one process, over the memory transport, for `leaks`: `node --expose-gc process.js KIND`.
 *
 * Every message asks for so many units of work, and is answered with the heap after a collection.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Server } from 'socketstream-server'
import { createClient } from 'socketstream-server/client'
import { rpc } from 'socketstream-server/services/rpc'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'

/** Calls in flight, and clients that come and go at a time. */
const WINDOW = 500
const AT_A_TIME = 20
/** What the kind that leaks on purpose does not let go. @type {unknown[]} */
const kept = []

const transport = memory()
// More handshakes a second than a server takes by default.
const limits = { handshakesPerSecond: 1_000_000, handshakesPerAddress: 1_000_000 }
const app = new Server({ transport, env: 'production', limits }).service(
  'rpc',
  rpc({ echo: (_ctx, value) => value }),
)
await app.start()

/** A client with both ends in this process, so that both would be caught. */
function client() {
  return createClient({ url: 'memory:', transport: memoryClient(transport), reconnect: false })
}

/**
 * Each does so many units of work.
 *
 * @type {Record<string, (count: number) => Promise<void>>}
 */
const kinds = {
  /** Clients that come, call and go; each begins a session. */
  connections: count => inParallel(count, AT_A_TIME, () => visit(client())),

  /** The same clients again and again, each with the session that it had. */
  async returns(count) {
    returning ??= Array.from({ length: AT_A_TIME }, client)
    const [...idle] = returning
    await inParallel(count, AT_A_TIME, async () => {
      const one = /** @type {any} */ (idle.pop())
      await visit(one)
      idle.push(one)
    })
  },

  /** Calls and their answers, of one client. */
  async messages(count) {
    if (calling === undefined) {
      calling = client()
      await calling.connect()
    }
    const { api } = calling
    await inParallel(count, WINDOW, async () => {
      if ((await api.rpc.echo('hello')) !== 'hello') throw new Error('A wrong answer')
    })
  },

  /** Leaks, to show that it would be seen. */
  leaking: count =>
    inParallel(count, AT_A_TIME, async () => {
      const one = client()
      await visit(one)
      kept.push(one)
    }),
}
/** @type {any[] | undefined} */
let returning
/** @type {any} */
let calling

/** @param {any} one */
async function visit(one) {
  await one.connect()
  if ((await one.api.rpc.echo('hello')) !== 'hello') throw new Error('A wrong answer')
  one.close()
}

/**
 * @param {number} count
 * @param {number} width
 * @param {() => Promise<void>} work
 */
async function inParallel(count, width, work) {
  let left = count
  const worker = async () => {
    while (left-- > 0) await work()
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** Heap in use when nothing is left to do, in bytes. */
async function heap() {
  for (let i = 0; i < 3; i++) {
    await nextTurn()
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}

const work = kinds[process.argv[2] ?? '']
if (work === undefined || process.send === undefined || globalThis.gc === undefined) {
  console.error(`Started by benchmarks/leaks.js, with one of ${Object.keys(kinds).join(', ')}`)
  process.exit(2)
}
process.on('disconnect', () => process.exit())
process.on('message', async message => {
  await work(/** @type {{ count: number }} */ (message).count)
  process.send?.({ heap: await heap() })
})
process.send({ ready: true })
