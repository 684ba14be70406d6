// A server of a cluster, in a process of its own: it does what its parent says, and tells it what comes of it.
import { Server } from 'socketstream-server'
import { redis } from 'socketstream-server/engines/redis'
import { presence } from 'socketstream-server/services/presence'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { sse } from 'socketstream-server/transports/sse'
import { ws } from 'socketstream-server/transports/ws'

const [url, prefix, name, deadline = 5000] = process.argv.slice(2)
const engine = redis({ url, prefix, deadline: Number(deadline) })
const place = { port: 0, host: '127.0.0.1' }
const app = new Server({
  transport: [ws(place), sse(place)],
  engine,
  cluster: { name, lease: 1500, deadline: 1000 },
  sessions: { secret: 'a secret of these tests' },
  limits: { ping: 1000 },
  handleSignals: { drain: '1s' },
  health: true,
  authenticate: request => ({ id: new URL(request.url, 'http://x').searchParams.get('user') ?? 'nobody' }),
})
  .service('chat', pubsub({ canPublish: () => true }))
  .service('feed', pubsub({ channels: { '*': { history: { size: 10_000, ttl: 60_000 } } } }))
  .service('here', presence({ user: connection => connection.user.id, grace: '2s', ttl: '3s', interval: 0 }))
  .service(
    'work',
    rpc({
      echo: (_ctx, what) => what,
      session: ({ session }) => session.id,
      enter: ({ connection }) => void connection.join('everybody'),
      async publish({ connection }, id) {
        const { feed, chat } = app.api
        chat.publish.all('all', id)
        chat.publish.user(connection.user.id, 'own', id)
        chat.publish.channel('topic', 'topic', id)
        chat.to(['everybody']).emit('room', id)
        await feed.publish.acknowledged('work', 'said', id)
      },
    }),
  )
await app.start()
const { cluster, api } = app
/** Calls that go on until this process ends. */
let endless = 0

cluster.answer(`who ${name}`, () => name)
cluster.answer(`endless ${name}`, () => new Promise(() => void endless++))
// Counts, and keeps the count where the next one finds it: refused to whoever has an older fence.
const counters = cluster.keyed('counter', {
  async start({ key, fence }) {
    const read = async () => JSON.parse(Buffer.from((await engine.kv.get(key))?.value ?? '[0,0]').toString())
    if ((await read())[1] > fence) throw new Error('a newer one has been here')
    return {
      async call() {
        const entry = await engine.kv.get(key)
        const [count, last] = JSON.parse(Buffer.from(entry?.value ?? '[0,0]').toString())
        if (last > fence) throw new Error('a newer one has been here')
        const value = Buffer.from(JSON.stringify([count + 1, fence]))
        await engine.kv.set(key, value, { ifVersion: entry?.version ?? 0 })
        return [name, count + 1, fence]
      },
    }
  },
})

const commands = {
  publish: ([kind, whom, from, to]) => {
    for (let i = from; i < to; i++) {
      if (kind === 'all') api.chat.publish.all('said', i)
      else api.chat.publish[kind](whom, 'said', i)
    }
  },
  acknowledged: async ([channel, from, to]) => {
    const offsets = []
    for (let i = from; i < to; i++)
      offsets.push((await api.feed.publish.acknowledged(channel, 'said', i)).offset)
    return offsets
  },
  once: ([channel, i]) => api.feed.publish.with({ key: `${i}` }).acknowledged(channel, 'said', i),
  present: channel => engine.presence.count(`here:${channel}`),
  watch: () => void api.here.on('left', (_channel, user) => process.send({ gone: user })),
  endless: () => endless,
  nodes: async () => (await cluster.nodes()).map(node => node.name),
  stats: async deadline => {
    const { nodes, silent } = await cluster.stats({ deadline })
    return { nodes: [...nodes.keys()], silent }
  },
  call: ([what, options]) => cluster.call(what, null, options),
  outcome: ([what, options]) =>
    cluster.call(what, null, options).then(
      () => 'answered',
      ({ code, data }) => ({ code, data }),
    ),
  count: ([key, deadline, idempotencyKey]) => counters.call(key, null, { deadline, idempotencyKey }),
  keys: () => counters.keys(),
  welcomed: () => app.statistics().connections.welcomed,
}
cluster.on('left', id => process.send({ left: id }))
for (const event of ['down', 'up']) engine.on(event, () => process.send({ engine: event }))
process.on('message', async ({ id, command, argument }) => {
  try {
    process.send({ id, value: (await commands[command](argument)) ?? null })
  } catch (error) {
    process.send({ id, code: error.code ?? error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send({ ready: { url: app.address().url, node: cluster.id } })
