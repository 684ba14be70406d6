// A server of a cluster with machines, in a process of its own: it does what its parent says, and tells it what its machines do.
import { Server } from 'socketstream-server'
import { redis } from 'socketstream-server/engines/redis'
import { machine } from 'socketstream-server/services/machine'
import { ws } from 'socketstream-server/transports/ws'
import { assign, setup } from 'xstate'

const [url, prefix, name, lease] = process.argv.slice(2)

/** Counts; one that is armed goes off by itself, once. */
const counter = setup({}).createMachine({
  context: ({ input }) => ({ key: input.key, count: 0 }),
  initial: 'on',
  states: {
    on: { on: { arm: 'armed' } },
    armed: { after: { 500: 'off' } },
    off: { entry: ({ context }) => process.send({ off: context.key, name }) },
  },
  on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
})

const app = new Server({
  transport: ws({ port: 0, host: '127.0.0.1' }),
  engine: redis({ url, prefix }),
  cluster: { name, lease: Number(lease), deadline: 500 },
}).service(
  'counter',
  machine(counter, {
    events: ['add', 'arm'],
    authorize: () => true,
    input: key => ({ key }),
    persist: true,
    project: ({ value, context }) => ({ value, count: context.count }),
  }),
)
await app.start()

const commands = {
  keys: () => [...(app.actors.find('/services/counter/machines')?.children.keys() ?? [])].sort(),
  nodes: async () => (await app.cluster.nodes()).length,
  stop: () => app.stop({ drain: 2000 }),
}
process.on('message', async ({ id, command }) => {
  process.send({ id, value: (await commands[command]()) ?? null })
})
process.on('disconnect', () => process.exit())
process.send({ ready: app.address().url })
