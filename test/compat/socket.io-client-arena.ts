/** A client of Socket.IO and one of ours, each at its server, for the client's rows of docs/migrating-from-socket.io.md. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Socket as ServerSocket, Server as SocketIo } from 'socket.io'
import { io, type Socket } from 'socket.io-client'
import { createClient } from '../../src/client/node.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'
import { LogLines } from '../support/wire.js'

/** What a row of the client has done. */
export interface ClientEffects {
  /** What the row was worth, `me` for the client's id; undefined where that is no text, number or boolean. */
  readonly value: unknown
  /** What its `listener` was given: by the row, by `x` and `y` said after it, and by `z` said once it has closed and come back. */
  readonly heard: unknown[]
  /** What the server was told, by and after the row. */
  readonly received: unknown[]
  /** Who was connected after the row: `me`, and what its `who` says of each other one. */
  readonly connected: string[]
  /** How many connections there have been after the row. */
  readonly accepted: number
}

/** A client, with its server. */
interface Side {
  /** What the row may use. */
  readonly names: Record<string, unknown>
  readonly received: unknown[]
  /** Ids of all connections so far, with whose each is. */
  readonly accepted: ReadonlyMap<string, string>
  /** Ids of those that are there. */
  present(): string[]
  /** What the client and the server have sent has arrived, and so has what they opened and closed. */
  settled(): Promise<void>
  say(what: string): void
  /** Closes the client, unless it is, and connects it again. */
  comeBack(): Promise<void>
  stop(): Promise<unknown>
}

/** Runs a row with Socket.IO. */
export const withSocketIoClient = (code: string) => run(code, socketIo())

/** Runs a row with this package. */
export const withOurClient = (code: string) => run(code, ours())

async function run(code: string, making: Promise<Side>): Promise<ClientEffects> {
  const side = await making
  try {
    const heard: unknown[] = []
    const names = { ...side.names, listener: (what: unknown) => void heard.push(what) }
    const row = new Function(...Object.keys(names), `return (async () => (${code}))()`)
    const value: unknown = await row(...Object.values(names))
    await side.settled()
    const connected = side
      .present()
      .map(id => side.accepted.get(id)!)
      .sort()
    const accepted = side.accepted.size
    for (const what of ['x', 'y']) side.say(what)
    await side.settled()
    await side.comeBack()
    side.say('z')
    await side.settled()
    const known = typeof value === 'string' ? (side.accepted.get(value) ?? value) : value
    return {
      value: ['string', 'number', 'boolean'].includes(typeof known) ? known : undefined,
      heard,
      received: [...side.received],
      connected,
      accepted,
    }
  } finally {
    await side.stop()
  }
}

async function socketIo(): Promise<Side> {
  const { http, port } = await listening()
  const server = new SocketIo(http, { transports: ['websocket'], serveClient: false })
  const [accepted, received] = [new Map<string, string>(), [] as unknown[]]
  server.use((socket, next) => next(whoIs(socket) === 'nobody' ? new Error('Nobody is let in') : undefined))
  server.on('connection', socket => {
    accepted.set(socket.id, whoIs(socket))
    socket.on('sync', (answer: () => void) => answer())
    for (const name of ['hello', 'message']) {
      socket.on(name, (what: string, answer?: (what: string) => void) => {
        received.push([name, what])
        answer?.(what)
      })
    }
  })
  const sockets: Socket[] = []
  const opening: Promise<unknown>[] = []
  const make = (to: string, options: object = {}) => {
    const socket = io(to, { transports: ['websocket'], forceNew: true, ...options })
    sockets.push(socket)
    if (socket.active) opening.push(settling(socket))
    return socket
  }
  const url = `http://127.0.0.1:${port}`
  const socket = make(url)
  const side: Side = {
    names: { io: make, socket, url },
    received,
    accepted,
    present: () => [...server.sockets.sockets.keys()],
    async settled() {
      await Promise.all(opening)
      if (socket.active) await settling(socket)
      const there = sockets.filter(one => one.connected)
      for (const one of there) await one.emitWithAck('sync')
      const ids = new Set(there.map(({ id }) => id))
      for (const one of server.sockets.sockets.values()) if (!ids.has(one.id)) await once(one, 'disconnect')
    },
    say: what => void server.emit('said', what),
    async comeBack() {
      socket.disconnect().connect()
      await side.settled()
    },
    async stop() {
      for (const one of sockets) one.disconnect()
      await server.close()
    },
  }
  await side.settled()
  return side
}

const whoIs = ({ handshake }: ServerSocket): string => `${handshake.auth.who ?? 'me'}`

/** Until a socket is connected or refused. */
const settling = (socket: Socket): Promise<void> =>
  new Promise(resolve => {
    if (socket.connected) return resolve()
    socket.once('connect', resolve)
    socket.once('connect_error', () => resolve())
  })

async function ours(): Promise<Side> {
  const { http, port } = await listening()
  const [accepted, received] = [new Map<string, string>(), [] as unknown[]]
  const told = (name: string, what: string) => {
    received.push([name, what])
    return what
  }
  const app = new Server({
    transport: ws(),
    log: new LogLines().target,
    env: 'test',
    authenticate({ url }) {
      const who = new URL(url, 'http://localhost').searchParams.get('who') ?? 'me'
      return who !== 'nobody' && who
    },
  })
    .attach(http)
    .service('chat', pubsub<{ said: [string] }>())
    .service(
      'rpc',
      rpc({
        hello: (_ctx, what: string) => told('hello', what),
        message: (_ctx, what: string) => told('message', what),
        sync: () => undefined,
      }),
    )
  app.events.on('client:connect', (id, { user }) => void accepted.set(id, `${user}`))
  await app.start()
  const url = `ws://127.0.0.1:${port}`
  const clients: ReturnType<typeof createClient<typeof app>>[] = []
  const make = (options: Parameters<typeof createClient>[0]) => {
    const client = createClient<typeof app>(options)
    clients.push(client)
    return client
  }
  const client = make({ url, reconnect: false })
  await client.connect()
  return {
    names: { createClient: make, client, chat: client.api.chat, url },
    received,
    accepted,
    present: () => app.connections().map(({ id }) => id),
    async settled() {
      const there = clients.filter(({ status }) => status === 'connected')
      for (const one of there) await one.api.rpc.sync()
      const ids = new Set(there.map(one => one.connectionId))
      for (const { id } of app.connections()) if (!ids.has(id)) await left(app, id)
    },
    say: what => void app.api.chat.publish.all('said', what),
    async comeBack() {
      client.close()
      await client.connect()
    },
    async stop() {
      for (const one of clients) one.close()
      await app.stop({ drain: 0 })
      http.close()
    },
  }
}

const left = (app: { events: Server['events'] }, id: string): Promise<void> =>
  new Promise(resolve => app.events.on('client:disconnect', gone => void (gone === id && resolve())))

async function listening() {
  const http = createServer()
  await once(http.listen(0, '127.0.0.1'), 'listening')
  return { http, port: (http.address() as AddressInfo).port }
}
