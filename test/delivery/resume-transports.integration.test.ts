import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/fallback-node.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import { ws } from '../../src/transports/ws.js'
import { UpgradeRefusingProxy } from '../support/upgrade-refusing-proxy.js'
import { LogLines } from '../support/wire.js'

const PATHS = { ws: [], sse: ['/sse'], engineio: ['/engine.io'], sockjs: ['/sockjs'] } as const
type Name = keyof typeof PATHS
const NAMES = Object.keys(PATHS) as Name[]
/** SockJS carries text: the codec changes with it. */
const COURSE: readonly Name[] = ['sse', 'sockjs', 'ws', 'engineio', 'sse', 'sockjs', 'engineio', 'ws']

/** What is waited for, one after the other. */
class Queue<Item> {
  readonly #items: Item[] = []
  #wake = (): void => {}

  push(item: Item): void {
    this.#items.push(item)
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    for (;;) {
      if (this.#items.length === 0) {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      } else yield this.#items.shift()!
    }
  }
}

/** A server with all transports on one HTTP server, behind a proxy. */
async function start() {
  const ran: number[] = []
  const items = new Queue<number>()
  let open = (): void => {}
  const gate = new Promise<void>(resolve => {
    open = resolve
  })
  const server = createServer((_request, response) => response.writeHead(404).end())
  const transport = [ws({ server }), sse({ server }), engineio({ server }), sockjs({ server })]
  const app = new Server({ transport, log: new LogLines().target, env: 'test' })
    .service(
      'rpc',
      rpc({
        async add(_ctx, value: number) {
          ran.push(value)
          return value + 1
        },
        async gated() {
          await gate
          return 'late'
        },
        async *numbers() {
          yield* items
        },
      }),
    )
    .service('chat', pubsub<{ line: [number] }>())
  await app.start()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await UpgradeRefusingProxy.listening((server.address() as AddressInfo).port, 'pass')
  onTestFinished(async () => {
    await proxy.close()
    const closed = once(server, 'close')
    server.close()
    await app.stop({ drain: 0 })
    server.closeAllConnections()
    await closed
  })
  const pass = (name: Name): void => {
    proxy.mode = name === 'ws' ? 'pass' : 'refuse'
    proxy.blocked = NAMES.filter(other => other !== name).flatMap(other => PATHS[other])
  }
  return { app, proxy, pass, ran, items, open }
}

test('a connection goes on over every transport in turn: the same, with all of it once and in order', async () => {
  const { app, proxy, pass, ran, items, open } = await start()
  pass('ws')
  const client = createClient<typeof app>({
    url: `http://${proxy.host}`,
    transports: NAMES,
    reconnect: { minDelay: 1, maxDelay: 20 },
  })
  onTestFinished(() => client.close())
  await client.connect()
  const [connection] = [...app.connections()]
  const heard: number[] = []
  const listeners = new Set<() => void>()
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise<void>(resolve => listeners.add(resolve))
  }
  const look = (): void => {
    for (const listener of listeners) listener()
    listeners.clear()
  }
  client.on('status', look)
  client.api.chat.on('line', line => {
    heard.push(line)
    look()
  })
  await client.api.chat.subscribe('room')
  const late = client.api.rpc.gated()
  const streamed: number[] = []
  const streaming = (async () => {
    for await (const item of await client.api.rpc.numbers()) {
      streamed.push(item)
      look()
      if (item === COURSE.length * 2) return
    }
  })()

  let number = 0
  let [line, item] = [0, 0]
  const answers: Promise<number>[] = []
  const say = (): void => {
    app.api.chat.publish.channel('room', 'line', ++line)
    items.push(++item)
    answers.push(client.api.rpc.add(++number))
  }
  for (const name of COURSE) {
    pass(name)
    // On the way when the link is cut, and while the client is away.
    say()
    proxy.cut()
    await until(() => client.status !== 'connected')
    say()
    await until(() => client.status === 'connected')
    expect([...app.connections()]).toEqual([connection])
    expect(connection!.transport).toBe(name)
    await until(() => heard.length === line && streamed.length === item)
  }
  open()
  expect(await late).toBe('late')
  await streaming
  expect(await Promise.all(answers)).toEqual(Array.from({ length: number }, (_, at) => at + 2))
  const all = Array.from({ length: COURSE.length * 2 }, (_, at) => at + 1)
  expect({ heard, streamed, ran }).toEqual({ heard: all, streamed: all, ran: all })
  expect(app.statistics().connections.resumed).toBe(COURSE.length)
})
