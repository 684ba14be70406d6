// A server whose keyed things write where others read it, in a process of its own; it does what its parent says.
import { Server } from 'socketstream-server'
import { redis } from 'socketstream-server/engines/redis'
import { memory } from 'socketstream-server/transports/memory'

const [url, prefix, name] = process.argv.slice(2)
const engine = redis({ url, prefix })
const app = new Server({ transport: memory(), engine, cluster: { name, lease: 1000, deadline: 1000 } })
await app.start()

/** What has begun here last, whether it still may live or not. */
let begun

async function stored(key) {
  const entry = await engine.kv.get(key)
  return { entry, last: JSON.parse(Buffer.from(entry?.value ?? '{"fence":0}').toString()) }
}

/** Writes, unless somebody with a newer fence has. */
async function write(key, fence) {
  const { entry, last } = await stored(key)
  if (last.fence > fence) return 'refused'
  const value = Buffer.from(JSON.stringify({ name, fence }))
  await engine.kv.set(key, value, { ifVersion: entry?.version ?? 0 })
  return 'written'
}

const things = app.cluster.keyed('thing', {
  start({ key, fence }) {
    begun = { key, fence }
    return { call: async () => ({ name, fence, outcome: await write(key, fence) }) }
  },
})

const commands = {
  call: key => things.call(key, null, { deadline: 20_000, idempotencyKey: `${name} ${key}` }),
  // As an instance does that is late: it asks nobody whether it still lives.
  writeLate: () => write(begun.key, begun.fence),
  stored: async key => (await stored(key)).last,
}
process.on('message', async ({ id, command, argument }) => {
  try {
    process.send({ id, value: await commands[command](argument) })
  } catch (error) {
    process.send({ id, code: error.code ?? error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send({ ready: { url: '', node: app.cluster.id } })
