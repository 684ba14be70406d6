/** The first process of some workers, which makes the load as well: measures calls that take CPU. */
import cluster from 'node:cluster'
import { createServer } from 'node:net'
import { createClient } from 'socketstream-server/client'
import { workers } from 'socketstream-server/workers'

const CONNECTIONS = 16
const IN_FLIGHT = 4
/** Milliseconds of CPU that a call takes. */
const WORK = 0.5

const [, count = '1', size = '{}'] = process.argv.slice(2)
const { calls } = JSON.parse(size)
const probe = createServer().listen(0, '127.0.0.1')
await new Promise(resolve => probe.once('listening', resolve))
const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
await new Promise(resolve => probe.close(resolve))
const group = workers({
  file: new URL('./worker.js', import.meta.url),
  count: Number(count),
  args: [`${port}`],
  handleSignals: false,
})
await group.start()
const clients = await Promise.all(
  Array.from({ length: CONNECTIONS }, async () => {
    const client = createClient({ url: `ws://127.0.0.1:${port}` })
    await client.connect()
    return /** @type {{ rpc: { echo(work: number): Promise<number> } }} */ (
      /** @type {unknown} */ (client.api)
    )
  }),
)

process.on('message', async () => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  let next = 0
  const loop = async (/** @type {(typeof clients)[number]} */ api) => {
    while (next++ < calls) await api.rpc.echo(WORK)
  }
  await Promise.all(clients.flatMap(api => Array.from({ length: IN_FLIGHT }, () => loop(api))))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  process.send?.({ rate: calls / seconds, load: (user + system) / 1e6 / seconds })
})
process.on('disconnect', () => process.exit())
process.once('exit', () => {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL')
})
process.send?.({ ready: true })
