/** Servers of one engine under virtual time, and clients that come from one of them to another. */
import { onTestFinished } from 'vitest'
import { createClient } from '../../src/client/node.js'
import type { ClientLink, ClientTransport } from '../../src/client/transport.js'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import { Server } from '../../src/server.js'
import { machineClient } from '../../src/services/machine/client.js'
import { machine } from '../../src/services/machine/index.js'
import { modelClient } from '../../src/services/model/client.js'
import { memoryStorage, model } from '../../src/services/model/index.js'
import { presenceClient } from '../../src/services/presence/client.js'
import { presence } from '../../src/services/presence/index.js'
import type { ServiceClient } from '../../src/services/service.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { virtualTime } from '../../src/testing/virtual-time.js'
import { type MemoryTransport, memory } from '../../src/transports/memory.js'
import { LogLines } from '../support/wire.js'
import { counter, cuttable } from './machine-cluster-support.js'

/** Milliseconds that who is away has to come back. */
export const GRACE = 5000

interface Todo {
  readonly id: string
  readonly text: string
}

/** What a client is sent, as `service: payload`; calls are answered and not noted. */
export type Sent = readonly [service: string, message: unknown]

/** Starts servers that share everything. @param how `ended here`: whoever starts them calls `end` */
export async function startFleet(count: number, how?: 'ended here') {
  const time = virtualTime()
  const engine = memoryEngine()
  const kept = memoryStorage<Todo>()
  /** Readings of queries that fail from now on. */
  const storage = { failures: 0 }
  const list: typeof kept.list = asked => {
    if (storage.failures-- > 0) throw new Error('not now')
    return kept.list(asked)
  }
  const log = new LogLines()
  const heard: string[] = []
  const start = async () => {
    const transport = memory()
    const { engine: own, state } = cuttable(engine)
    const app = new Server({
      transport,
      engine: own,
      env: 'test',
      log: log.target,
      sessions: { secret: 'a secret of these tests' },
      authenticate: ({ url }) => ({ id: url.slice(1) }),
      cluster: { lease: 3000 },
    })
      .service('presence', presence<string>({ grace: GRACE, interval: 0 }))
      .service(
        'count',
        machine(counter, {
          events: ['add'],
          authorize: () => true,
          persist: true,
          input: key => ({ key }),
          project: ({ context }) => ({ count: context.count, by: context.by }),
        }),
      )
      .service(
        'todos',
        model({ ...kept, list, authorize: () => true, queries: { all: {}, none: { filter: () => false } } }),
      )
    await time.until(app.start())
    // One that is cut off stands for one that has died.
    const hear = (line: string) => void (state.isCut || heard.push(line))
    app.api.presence.on('joined', (channel, user) => hear(`${user} joined ${channel}`))
    app.api.presence.on('left', (channel, user) => hear(`${user} left ${channel}`))
    return { app, transport, state }
  }
  const servers: Awaited<ReturnType<typeof start>>[] = []
  for (let at = 0; at < count; at++) servers.push(await start())
  await time.settle()

  /** A connected client, whose messages from services are noted. */
  const connect = async (user: string, at = 0) => {
    const nowhere = { connect: () => Promise.reject(new Error('away')) }
    let target: Pick<MemoryTransport, 'connect'> = servers[at]!.transport
    let link: ClientLink | undefined
    const transport: ClientTransport = {
      open(...given) {
        link = memoryClient(target as MemoryTransport, { url: `/${user}` }).open(...given)
        return link
      },
    }
    const sent: Sent[] = []
    const noting = <Api>(name: string, half: { client(service: ServiceClient): Api }) => ({
      client(service: ServiceClient): Api {
        const api = half.client(service)
        const { onmessage } = service
        service.onmessage = message => {
          sent.push([name, message])
          onmessage?.(message)
        }
        return api
      },
    })
    const client = createClient<(typeof servers)[number]['app']>({
      url: 'memory:',
      transport,
      services: {
        presence: noting('presence', presenceClient),
        count: noting('count', machineClient),
        todos: noting('todos', modelClient),
      },
      reconnect: { minDelay: 1, maxDelay: 1 },
    })
    cleanups.push(() => client.close())
    await time.until(client.connect())
    const { connectionId } = client
    /** Has it come to another server from its next loss on. */
    const next = (to: number) => {
      target = servers[to]!.transport
    }
    /** Loses its link, and comes to another server. */
    const move = async (to: number) => {
      next(to)
      link!.close(4500, 'lost')
      await time.advance(50)
      await time.settle()
    }
    /** Is without a link for so many milliseconds, at the least. */
    const away = async (ms: number) => {
      target = nowhere
      link!.close(4500, 'lost')
      await time.advance(ms)
    }
    return { client, sent, next, move, away, id: connectionId, api: client.api }
  }
  const cleanups: (() => unknown)[] = []
  const end = async () => {
    try {
      for (const cleanup of cleanups) await cleanup()
      for (const { app } of servers) await time.until(app.stop({ drain: 0 }))
      await engine.close()
    } finally {
      time.restore()
    }
  }
  if (how === undefined) onTestFinished(end)
  return { time, engine, servers, storage, log, heard, connect, end }
}
