import { sign } from 'cookie-signature'
import session from 'express-session'
import { onTestFinished } from 'vitest'
import { createClient } from '../../src/client/node.js'
import type { Engine } from '../../src/engines/engine.js'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { memory } from '../../src/transports/memory.js'

const secret = 'a secret of these tests'

type Events = { said: [text: string]; more: [bytes: Uint8Array] }

/** Puts a session into a store that several servers share. */
export function put(store: session.MemoryStore, id: string, data: object): Promise<void> {
  const all = { cookie: { originalMaxAge: null }, ...data } as unknown as session.SessionData
  return new Promise((resolve, reject) => store.set(id, all, error => (error ? reject(error) : resolve())))
}

/** A server of a cluster, in memory: with two services that publish, and one that handles sessions. */
export async function startNode(engine: Engine, options: Partial<ServerOptions> = {}) {
  const transport = memory()
  const lines: string[] = []
  const level = (message: object | string, text?: string) => void lines.push(String(text ?? message))
  const app = new Server({
    transport,
    engine,
    env: 'test',
    sessions: { secret },
    sessionStore: new session.MemoryStore(),
    log: { debug() {}, info() {}, warn: level, error: level },
    authenticate: ({ url }) => ({ id: new URL(url, 'http://x').searchParams.get('user') ?? 'nobody' }),
    ...options,
  })
    .service('chat', pubsub<Events>({ canPublish: () => true }))
    .service(
      'feed',
      pubsub<Events>({ channels: { 'kept:*': { history: { size: 10, ttl: 60_000 } }, '*': {} } }),
    )
    .service(
      'rpc',
      rpc({
        logout: ctx => ctx.session.destroy(),
        join: (ctx, room: string) => void ctx.connection.join(room),
      }),
    )
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  /** A connected client, and what it hears. */
  const client = async (user: string, sessionId?: string) => {
    const headers = sessionId && {
      cookie: `connect.sid=${encodeURIComponent(`s:${sign(sessionId, secret)}`)}`,
    }
    const made = createClient<typeof app>({
      url: 'memory:',
      transport: memoryClient(transport, { url: `/?user=${user}`, ...(headers && { headers }) }),
      reconnect: false,
    })
    const heard: unknown[] = []
    let wanted: { count: number; resolve: () => void } | undefined
    const hear = (what: unknown): void => {
      heard.push(what)
      if (wanted !== undefined && heard.length >= wanted.count) wanted.resolve()
    }
    await made.connect()
    onTestFinished(() => made.close())
    for (const service of [made.api.chat, made.api.feed]) {
      service.on('said', hear)
      service.on('more', hear)
    }
    const closed = new Promise<number | undefined>(resolve =>
      made.on('status', (status, why) => status === 'closed' && resolve(why?.code)),
    )
    const atLeast = (count: number) =>
      new Promise<unknown[]>(resolve => {
        wanted = { count, resolve: () => resolve(heard) }
        if (heard.length >= count) resolve(heard)
      })
    const close = () => made.close()
    return { api: made.api, id: made.connectionId as string, heard, atLeast, closed, close }
  }
  return { app, client, lines }
}

/** Resolves when a server knows so many others. */
export async function knows(app: { cluster: Server['cluster'] }, others: number): Promise<void> {
  for (;;) {
    const change = new Promise<void>(resolve => {
      const ends = [app.cluster.on('joined', changed), app.cluster.on('left', changed)]
      function changed(): void {
        for (const end of ends) end()
        resolve()
      }
    })
    if ((await app.cluster.nodes()).length === others + 1) return
    await change
  }
}

/** Lets what is under way in this process come in until something holds. */
export async function turns(isSo: () => Promise<boolean> | boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (await isSo()) return
    await new Promise(setImmediate)
  }
  throw new Error('It does not come to hold')
}

/** Looks again and again, at other processes for example, of which nothing here hears; rejects after 30 s. */
export async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  for (const last = performance.now() + 30_000; !(await isSo()); ) {
    if (performance.now() > last) throw new Error(`It did not come to hold within 30 s: ${isSo}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
