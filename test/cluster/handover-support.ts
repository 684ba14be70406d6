import { createClient } from '../../src/client/node.js'
import type { ResumableClientOptions } from '../../src/client/resumable-core.js'
import type { ClientTransport } from '../../src/client/transport.js'
import type { Engine } from '../../src/engines/engine.js'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { Connection } from '../../src/services/service.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { type MemoryTransport, memory } from '../../src/transports/memory.js'

/** How often each call has run, on whichever server. */
export type Runs = Map<string, number>

/** A server that leaves its connections to others, with calls, a channel that is kept, and messages that are not. */
export function movingServer(engine: Engine, runs: Runs, options: Partial<ServerOptions> = {}) {
  const transport = memory()
  const app = new Server({
    transport,
    engine,
    env: 'test',
    sessions: { secret: 'a secret of these tests' },
    resume: { window: 60_000, handover: true },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    ...options,
  })
    .service(
      'rpc',
      rpc({
        async echo(_ctx, name: string, ms: number) {
          runs.set(name, (runs.get(name) ?? 0) + 1)
          if (ms > 0) await new Promise(resolve => setTimeout(resolve, ms))
          return name
        },
        remember({ connection }, key: string, value: unknown) {
          connection.data[key] = value
        },
        join: ({ connection }, room: string) => connection.join(room),
        async *numbers() {
          yield 1
          await new Promise(() => undefined)
        },
        whoami: ({ connection }) => ({
          id: connection.id,
          data: connection.data,
          rooms: [...connection.rooms],
        }),
      }),
    )
    .service('news', pubsub<{ told: [number] }>({ canSubscribe: () => true }))
    .service(
      'feed',
      pubsub<{ kept: [number] }>({ channels: { 'kept:*': { history: { size: 1000, ttl: 600_000 } } } }),
    )
  return { app, transport }
}

/** What clients connect by: each link goes to the server that is named at the time. */
export function switched(first: MemoryTransport) {
  const state = { target: first }
  const transport: ClientTransport = {
    open: (url, protocols, handler) => memoryClient(state.target).open(url, protocols, handler),
  }
  return { state, transport }
}

/** A client of such servers. */
export function movingClient(transport: ClientTransport, options: Partial<ResumableClientOptions> = {}) {
  return createClient<ReturnType<typeof movingServer>['app']>({
    url: 'memory:',
    transport,
    services: { feed: channelsClient },
    reconnect: { minDelay: 10, maxDelay: 500 },
    ...options,
  })
}

/** The one connection of a server. */
export function only(app: Pick<Server, 'connections'>): Connection {
  const [connection, ...others] = app.connections()
  if (connection === undefined || others.length > 0) throw new Error('There is not one connection')
  return connection
}

/** The same engine as one server has it, whose bus takes its time: what each sends to a node, and each hears, is in order. */
export function slowBus(engine: Engine, delay: () => number): Engine {
  const { bus } = engine
  if (bus === undefined) throw new Error('The engine has no bus')
  /** Does things one after another, each a while after it was asked for. */
  const line = () => {
    let last = 0
    return <Value>(work: () => Value): Promise<Value> =>
      new Promise(resolve => {
        const now = Date.now()
        last = Math.max(last, now + delay())
        setTimeout(() => resolve(work()), last - now)
      })
  }
  const out = new Map<string, ReturnType<typeof line>>()
  const slow: NonNullable<Engine['bus']> = {
    async send(node, bytes) {
      const sending = out.get(node) ?? line()
      out.set(node, sending)
      return sending(() => bus.send(node, bytes))
    },
    broadcast: bytes => bus.broadcast(bytes),
    listen(node, handler) {
      const hearing = line()
      return bus.listen(node, bytes => void hearing(() => handler(bytes)))
    },
  }
  return new Proxy(engine, {
    get: (target, name) =>
      name === 'bus' ? slow : (target as unknown as Record<PropertyKey, unknown>)[name],
  })
}
