/**
 * One server of `sessions` over real WebSockets, in a process of its own: `node server.js HANDLER`.
 *
 * Tells its port when it listens. Asked for sessions, it stores them and gives their cookies; any other
 * message asks for the CPU time used and the sessions read since then.
 */
import { Server } from 'socketstream-server'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'
import { CountingStore, cookieOf, SECRET } from './stored.js'

/** Milliseconds that the store takes to read a session, where that is measured. */
const DELAY = 10
let writes = 0

/**
 * All give back what they got; handlers differ in what they do with the session.
 *
 * @type {Record<string, (ctx: import('socketstream-server/services/rpc').RpcContext, message: unknown) => unknown>}
 */
const handlers = {
  none: (_ctx, message) => message,
  text(ctx, message) {
    if (ctx.session.user !== 'ada') throw new Error('The session is missing')
    return message
  },
  object(ctx, message) {
    if (/** @type {{ id: number }} */ (ctx.session.profile).id !== 1815) throw new Error('No session')
    return message
  },
  write(ctx, message) {
    ctx.session.writes = ++writes
    return message
  },
}

const [name = '', slow] = process.argv.slice(2)
const echo = handlers[name]
if (echo === undefined || process.send === undefined) {
  console.error(`Started by benchmarks/sessions.js, with one of ${Object.keys(handlers).join(', ')}`)
  process.exit(2)
}
const sessionStore = new CountingStore(slow === 'slow' ? DELAY : 0)
const app = new Server({
  transport: ws({ port: 0, host: '127.0.0.1', backlog: 4096 }),
  env: 'production',
  sessionStore,
  sessions: { secret: SECRET },
}).service('rpc', rpc({ echo }))
await app.start()
process.on('disconnect', () => process.exit())
process.on('message', ({ sessions }) => {
  if (sessions === undefined) return process.send?.({ ...process.cpuUsage(), reads: sessionStore.reads })
  sessionStore.reads = 0
  process.send?.({ cookies: sessionStore.fill(sessions).map(cookieOf) })
})
process.send({ port: app.address()?.port })
