import { sign } from 'cookie-signature'
import session from 'express-session'
import { onTestFinished } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { StoredSession } from '../../src/sessions/session.js'
import { ws } from '../../src/transports/ws.js'
import type { WsOptions } from '../../src/transports/ws-options.js'
import { LogLines } from '../support/wire.js'

/** What signs the cookies of these tests. */
export const secret = 'a secret of these tests'

/** A cookie's value, as Express signs it. */
export const signed = (id: string, by = secret) => `s:${sign(id, by)}`

/** The header that sends it. */
export const cookie = (id: string, by = secret) => `connect.sid=${encodeURIComponent(signed(id, by))}`

/** What a browser says of a page of the server's own. */
export const ownOrigin = (url: string) => url.replace('ws', 'http').replace(/\/$/, '')

/** A server over real WebSockets on a free port, for one test, with one service that shows its session. */
export async function startServer(options: Partial<ServerOptions> = {}, transport: WsOptions = {}) {
  const store = new session.MemoryStore()
  const log = new LogLines()
  const app = new Server({
    transport: ws({ port: 0, host: '127.0.0.1', ...transport }),
    sessionStore: store,
    sessions: { secret },
    env: 'test',
    log: log.target,
    ...options,
  }).service(
    'rpc',
    rpc({
      who: ctx => ({ id: ctx.session.id, user: ctx.user ?? null, name: ctx.session.name ?? null }),
      name(ctx, name: string) {
        ctx.session.name = name
      },
    }),
  )
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  return { app, store, log, url: app.address()?.url ?? '' }
}

/** Puts a session into a store. */
export function put(store: session.MemoryStore, id: string, data: object): Promise<void> {
  const all = { cookie: { originalMaxAge: null }, ...data } as unknown as session.SessionData
  return new Promise((resolve, reject) => store.set(id, all, error => (error ? reject(error) : resolve())))
}

/** Reads a session of a store. */
export function stored(store: session.MemoryStore, id: string): Promise<StoredSession | undefined> {
  return new Promise((resolve, reject) =>
    store.get(id, (error, data) => (error ? reject(error) : resolve(data as unknown as StoredSession))),
  )
}

/** How a handshake was answered. */
export interface Answer {
  readonly status: number
  readonly body: string
  /** The `Set-Cookie` header. */
  readonly setCookie: string | undefined
  /** A client that has been welcomed, when it was accepted. */
  readonly client?: Client
}

/** A welcomed client that makes one call after the other. */
export interface Client {
  readonly welcome: { readonly session: string }
  call(method: string, ...args: unknown[]): Promise<unknown>
  /** Resolves with the code of the close. */
  readonly closed: Promise<number>
  close(): Promise<number>
}

/** Shakes hands, with these headers and this hello; never rejects for an answer. */
export async function shake(url: string, options: ClientOptions = {}, hello: object = {}): Promise<Answer> {
  const socket = new WebSocket(url, ['ss1.json'], options)
  onTestFinished(() => socket.terminate())
  let setCookie: string | undefined
  socket.on('upgrade', ({ headers }) => {
    setCookie = headers['set-cookie']?.join('\n')
  })
  const refused = await new Promise<Answer | undefined>((resolve, reject) => {
    socket.on('open', () => resolve(undefined))
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.setEncoding('utf8').on('data', chunk => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, setCookie: undefined }))
    })
  })
  if (refused) return refused
  return { status: 101, body: '', setCookie, client: await greet(socket, hello) }
}

/** Shakes hands and expects to be let in. */
export async function enter(url: string, options: ClientOptions = {}, hello: object = {}): Promise<Client> {
  const { status, body, client } = await shake(url, options, hello)
  if (client === undefined) throw new Error(`refused with ${status}: ${body}`)
  return client
}

async function greet(socket: WebSocket, hello: object): Promise<Client> {
  const waiting: ((frame: unknown[]) => void)[] = []
  const frames = (): Promise<unknown[]> => new Promise(resolve => waiting.push(resolve))
  const closed = new Promise<number>(resolve => socket.on('close', resolve))
  socket.on('message', data => waiting.shift()?.(JSON.parse(String(data)) as unknown[]))
  const first = frames()
  socket.send(JSON.stringify([16, { v: 1, ...hello }]))
  const [kind, welcome] = await Promise.race([first, closed.then(code => ['closed', code] as unknown[])])
  if (kind !== 17) throw new Error(`no welcome but ${kind} ${JSON.stringify(welcome)}`)
  let id = 1
  return {
    welcome: welcome as Client['welcome'],
    closed,
    close() {
      socket.close()
      return closed
    },
    async call(method, ...args) {
      const answered = frames()
      socket.send(JSON.stringify([1, 1, id, [method, ...args]]))
      id += 2
      const [kind, , payload] = await answered
      if (kind === 2) return payload
      throw Object.assign(new Error(JSON.stringify(payload)), payload)
    },
  }
}
