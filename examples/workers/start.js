// @ts-check
/**
 * Starts one server for each core, all on one port.
 *
 * PORT=3003 WORKERS=2 REDIS=redis://localhost:6379 node examples/workers/start.js
 * A new version without a break: kill -HUP <pid>
 */
import { workers } from 'socketstream-server/workers'

const count = process.env.WORKERS ? { count: Number(process.env.WORKERS) } : {}
const group = workers({ file: new URL('./server.js', import.meta.url), ...count, log: console.error })
await group.start()
console.log(
  `The workers ${group.workers.map(({ pid }) => pid).join(', ')} listen at ${process.env.PORT || 3003}`,
)
