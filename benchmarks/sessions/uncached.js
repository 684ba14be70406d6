/**
 * `cacheSessions: false` against Redis, beside bare reads of the same store at the same concurrency.
 */
import { RedisStore } from 'connect-redis'
import { createClient as connectRedis } from 'redis'
import { Server } from 'socketstream-server'
import { createClient } from 'socketstream-server/client'
import { rpc } from 'socketstream-server/services/rpc'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'
import { noRedis, startRedis } from './redis.js'
import { inRounds } from './rounds.js'
import { cookieOf, DATA, SECRET } from './stored.js'

/** Connections, each with a session of its own and one call in flight. */
const CONNECTIONS = [1, 50]

/** @type {import('../sessions.js').Part} */
export async function uncached({ quick, progress }) {
  const missing = noRedis()
  if (missing !== undefined) {
    progress(`uncached: skipped, ${missing}`)
    return [{ label: 'uncached, Redis', unit: '/s', sides: [], skipped: missing }]
  }
  const redis = await startRedis()
  try {
    const comparisons = []
    for (const connections of CONNECTIONS) {
      const calls = quick ? 1000 : connections === 1 ? 5000 : 20_000
      const size = { port: redis.port, connections, calls }
      const scenario = { name: 'uncached', sides: ['reads', 'calls'], rounds: quick ? 1 : 7, size }
      const rounds = await inRounds(scenario, progress)
      comparisons.push({
        label: `uncached, Redis, ${connections} at a time`,
        unit: /** @type {const} */ ('/s'),
        sides: [
          { label: 'store.get()', values: rounds.map(({ reads }) => reads.rate) },
          { label: 'RPC calls', values: rounds.map(({ calls }) => calls.rate) },
        ],
      })
    }
    return comparisons
  } finally {
    redis.stop()
  }
}

/**
 * @param {string} side `reads` or `calls`
 * @param {{ port: number, connections: number, calls: number }} size
 */
export async function startUncached(side, { port, connections, calls }) {
  const client = connectRedis({ socket: { host: '127.0.0.1', port } })
  await client.connect()
  const store = new RedisStore({ client, prefix: `${side}${connections}:` })
  const ids = Array.from({ length: connections }, (_, i) => `benchmark${i}`.padEnd(32, '-'))
  for (const id of ids) await store.set(id, /** @type {any} */ (DATA))
  const ask = side === 'reads' ? ids.map(id => () => read(store, id)) : await callers(store, ids)
  return async () => {
    const start = performance.now()
    await Promise.all(ask.map(one => times(calls / connections, one)))
    return { rate: (calls / (performance.now() - start)) * 1000 }
  }
}

/**
 * @param {number} count
 * @param {() => Promise<unknown>} ask
 */
async function times(count, ask) {
  for (let i = 0; i < count; i++) if ((await ask()) !== DATA.user) throw new Error('The session is missing')
}

/**
 * @param {RedisStore} store
 * @param {string} id
 * @returns {Promise<unknown>}
 */
function read(store, id) {
  return new Promise((resolve, reject) => {
    store.get(id, (error, data) => (error ? reject(error) : resolve(data?.user)))
  })
}

/**
 * @param {RedisStore} store
 * @param {readonly string[]} ids
 */
async function callers(store, ids) {
  const transport = memory()
  const app = new Server({
    transport,
    env: 'production',
    sessionStore: store,
    cacheSessions: false,
    sessions: { secret: SECRET },
  }).service('rpc', rpc({ who: ctx => ctx.session.user }))
  await app.start()
  return Promise.all(
    ids.map(async id => {
      const client = createClient({
        url: 'memory:',
        transport: memoryClient(transport, { headers: { cookie: cookieOf(id) } }),
        reconnect: false,
        services: { rpc: { client: rpc({}).client } },
      })
      await client.connect()
      return () => client.api.rpc.who()
    }),
  )
}
