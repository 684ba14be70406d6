/** The same four clients with a Socket.IO server and with ours, for rows of docs/migrating-from-socket.io.md. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Socket, Server as SocketIo } from 'socket.io'
import { WebSocket } from 'ws'
import { handling } from '../../src/client/handlers.js'
import { createClient } from '../../src/client/node.js'
import { type PubSubServer, pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { Connection, ServiceDefinition } from '../../src/services/service.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { testServer } from '../support/wire.js'

/** What a row has done. */
export interface Effects {
  /** Events that each client heard. */
  readonly heard: Record<string, unknown[]>
  /** Clients that are connected; `d` came after the row was run. */
  readonly connected: string[]
  readonly rooms: Record<string, string[]>
  readonly data: unknown
  /** What the row was worth, with names for ids; undefined where that is no text, number or list. */
  readonly value: unknown
  /** What a call of `hello` was answered. */
  readonly answer: unknown
  /** What it gave to `log` until all had gone. */
  readonly logged: unknown[]
}

const EVENTS = ['said', 'message']
/** Who is in which rooms: `a` is the socket of the row. */
const ROOMS: Record<string, string[]> = { a: ['red'], b: ['red', 'blue'], c: [] }

/** Runs a row with Socket.IO. */
export async function withSocketIo(code: string): Promise<Effects> {
  const http = createServer()
  const io = new SocketIo(http, { transports: ['websocket'], serveClient: false })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const { port } = http.address() as AddressInfo
  const sockets = new Map<string, Socket>()
  io.on('connection', socket => {
    sockets.set(`${socket.handshake.headers.who}`, socket)
    socket.on('sync', (answer: () => void) => answer())
    socket.join(ROOMS[`${socket.handshake.headers.who}`] ?? [])
  })
  const clients = new Map<string, SocketIoClient>()
  const connect = async (name: string) => {
    const client = new SocketIoClient(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, name)
    clients.set(name, client)
    await client.opened
  }
  try {
    for (const name of Object.keys(ROOMS)) await connect(name)
    const socket = sockets.get('a')!
    const ids = new Map([...sockets].map(([name, { id }]) => [id, name]))
    const logged: unknown[] = []
    const log = (...values: unknown[]) => void logged.push(...values)
    const value = named(await evaluate(code, { io, socket, log }), ids)
    await connect('d')
    const answer = socket.listenerCount('hello') > 0 ? await clients.get('a')!.ask('hello', 'x') : undefined
    for (const client of clients.values()) await client.settled()
    const there = [...sockets].filter(([, socket]) => socket.connected)
    const rooms = there.map(([name, { id, rooms }]) => [name, [...rooms].filter(room => room !== id).sort()])
    const effects = {
      heard: Object.fromEntries([...clients].map(([name, { heard }]) => [name, heard])),
      connected: there.map(([name]) => name).sort(),
      rooms: Object.fromEntries(rooms),
      data: { ...socket.data },
      value,
      answer,
      logged,
    }
    const gone = [...sockets.values()].filter(one => one.connected).map(one => once(one, 'disconnect'))
    for (const client of clients.values()) client.close()
    await Promise.all(gone)
    return effects
  } finally {
    for (const client of clients.values()) client.close()
    await io.close()
  }
}

/** Runs a row with this package. */
export async function withOurs(code: string): Promise<Effects> {
  // What has to be there before the server starts: options, and a service.
  const early = /^\{|^rpc\(/.test(code) ? await evaluate(`(${code})`, { rpc }) : undefined
  const isService = typeof (early as ServiceDefinition | undefined)?.server === 'function'
  const { app, transport } = testServer(isService ? {} : (early as object | undefined))
  type Events = { said: [string]; message: [string] }
  app.service('chat', pubsub<Events>({ canPublish: () => true }))
  if (isService) app.service('rpc', early as ServiceDefinition)
  await app.start()
  const chat = (app.api as unknown as { chat: PubSubServer<Events> }).chat
  const connections = new Map<string, Connection>()
  const clients = new Map<string, Awaited<ReturnType<typeof connectTo>>>()
  const connectTo = async (name: string) => {
    const client = createClient({
      url: 'memory:',
      transport: memoryClient(transport, { headers: { who: name } }),
      services: { chat: handling() },
      reconnect: false,
    })
    const heard: unknown[] = []
    const opened = new Promise<Connection>(resolve =>
      app.events.once('client:connect', (_id: string, connection: Connection) => resolve(connection)),
    )
    await client.connect()
    const connection = await opened
    connections.set(name, connection)
    connection.join(ROOMS[name] ?? [])
    const api = client.api as Record<string, never>
    for (const event of EVENTS) {
      const { on } = api.chat as unknown as { on(event: string, listener: (what: unknown) => void): void }
      on(event, what => void heard.push([event, what]))
    }
    const { handle } = api.chat as unknown as { handle(name: string, handler: () => string): void }
    handle('ask', () => `${name}!`)
    return { client, heard, api: client.api as unknown as Api }
  }
  interface Api {
    chat: { publish(channel: string, event: string): Promise<void> }
    rpc: { hello(what: string): Promise<unknown> }
  }
  try {
    for (const name of Object.keys(ROOMS)) clients.set(name, await connectTo(name))
    const ids = new Map([...connections].map(([name, { id }]) => [id, name]))
    const logged: unknown[] = []
    const log = (...values: unknown[]) => void logged.push(...values)
    const connection = connections.get('a')!
    const value = early ? undefined : named(await evaluate(code, { app, chat, connection, log }), ids)
    // Refused, or too late.
    await connectTo('d').then(
      client => clients.set('d', client),
      () => undefined,
    )
    const answer = isService ? await clients.get('a')!.api.rpc.hello('x') : undefined
    // Whoever has gone is not answered.
    for (const { api } of clients.values()) await api.chat.publish('sync', 'said').catch(() => undefined)
    const there = [...connections].filter(([, { open }]) => open)
    const effects = {
      heard: { d: [], ...Object.fromEntries([...clients].map(([name, { heard }]) => [name, heard])) },
      connected: there.map(([name]) => name).sort(),
      rooms: Object.fromEntries(there.map(([name, { rooms }]) => [name, [...rooms].sort()])),
      data: { ...connection.data },
      value,
      answer,
      logged,
    }
    for (const { client } of clients.values()) client.close()
    return effects
  } finally {
    for (const { client } of clients.values()) client.close()
    await app.stop({ drain: 0 })
  }
}

/** The value of an expression, or of what it resolves to. */
function evaluate(code: string, names: Record<string, unknown>): Promise<unknown> {
  const body = `return (async () => (${code}))()`
  return new Function(...Object.keys(names), body)(...Object.values(names)) as Promise<unknown>
}

function named(value: unknown, ids: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map(one => named(one, ids)).sort()
  if (typeof value === 'string') return ids.get(value) ?? value
  return typeof value === 'number' || typeof value === 'boolean' ? value : undefined
}

/** As much of a Socket.IO client as the rows need, on a WebSocket. */
class SocketIoClient {
  readonly heard: unknown[] = []
  /** Resolves when it is connected, or refused. */
  readonly opened: Promise<void>
  readonly #socket: WebSocket
  readonly #answers = new Map<number, (value: unknown) => void>()
  readonly #name: string
  #calls = 0

  constructor(url: string, name: string) {
    this.#name = name
    this.#socket = new WebSocket(url, { headers: { who: name } })
    this.opened = new Promise(resolve => {
      this.#socket.on('error', () => resolve())
      this.#socket.on('close', () => {
        resolve()
        for (const answer of this.#answers.values()) answer(undefined)
      })
      this.#socket.on('message', (data: Buffer) => this.#receive(data.toString(), resolve))
    })
  }

  #receive(packet: string, opened: () => void): void {
    // Engine.IO: 0 opens, 2 is a ping, 4 a message; in that Socket.IO: 0 connects, 1 disconnects, 2 is an event,
    // 3 an acknowledgement, 4 a refusal.
    if (packet[0] === '0') this.#socket.send('40')
    else if (packet === '2') this.#socket.send('3')
    else if (packet.startsWith('40') || packet.startsWith('44')) opened()
    else if (packet.startsWith('41')) this.#socket.close()
    else if (/^42\d/.test(packet))
      this.#socket.send(`43${Number.parseInt(packet.slice(2), 10)}["${this.#name}!"]`)
    else if (packet.startsWith('42')) this.heard.push(JSON.parse(packet.slice(2)))
    else if (packet.startsWith('43')) {
      const [, id = '', values = '[]'] = /^43(\d+)(.*)$/.exec(packet) ?? []
      this.#answers.get(Number(id))?.(JSON.parse(values)[0])
      this.#answers.delete(Number(id))
    }
  }

  /** Emits with an acknowledgement; resolves to what that says, or to nothing when it has gone. */
  ask(event: string, ...args: unknown[]): Promise<unknown> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.resolve(undefined)
    const id = this.#calls++
    this.#socket.send(`42${id}${JSON.stringify([event, ...args])}`)
    return new Promise(resolve => this.#answers.set(id, resolve))
  }

  /** What was sent before has arrived. */
  async settled(): Promise<void> {
    await this.ask('sync')
  }

  close(): void {
    this.#socket.close()
  }
}
