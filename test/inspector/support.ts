import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach } from 'vitest'
import { WebSocket } from 'ws'
import { createClient, webSocket } from '../../src/client/node.js'
import type { WebSocketClass } from '../../src/client/transport.js'
import type { InspectorOptions } from '../../src/inspector/options.js'
import type { InspectorServer, WatchItem } from '../../src/inspector/protocol/index.js'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { ws } from '../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Has something done after the test. */
export function cleanup(action: () => unknown): void {
  cleanups.push(action)
}

/** A server with an inspector that waits for its services, and for `start`. */
export function inspected(inspector: InspectorOptions = {}, options: Partial<ServerOptions> = {}) {
  const transport = ws({ port: 0, host: '127.0.0.1' })
  const app = new Server({ transport, env: 'test', ...options }).inspector(inspector)
  cleanup(() => app.stop({ drain: 0 }))
  const start = async () => {
    await app.start()
    const port = transport.address()!.port!
    return { port, origin: `http://127.0.0.1:${port}`, url: `ws://127.0.0.1:${port}` }
  }
  return { app, start }
}

/** A client of the inspector's own service. */
export async function viewer(port: number, headers: Readonly<Record<string, string>> = {}) {
  const Socket = class extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols, { headers })
    }
  }
  const client = createClient<InspectorServer>({
    url: `ws://127.0.0.1:${port}/_inspector/socket`,
    transport: webSocket(Socket as unknown as WebSocketClass),
    reconnect: false,
  })
  cleanup(() => client.close())
  await client.connect()
  return { client, api: client.api.inspector }
}

/** The items of a watch, which is open until the test has ended. */
export async function watching(
  api: { watch(options: object): AsyncIterable<WatchItem> },
  options: object = {},
) {
  const items = api.watch(options)[Symbol.asyncIterator]()
  cleanup(() => items.return?.())
  const next = async (): Promise<WatchItem> => (await items.next()).value
  /** The first item that fits. */
  const until = async (fits: (item: WatchItem) => boolean): Promise<WatchItem> => {
    for (;;) {
      const item = await next()
      if (item === undefined) throw new Error('The watch has ended')
      if (fits(item)) return item
    }
  }
  await next()
  return { next, until, end: () => items.return?.() }
}

/** Asks over HTTP with these headers, also such as `fetch` would not send. */
export async function ask(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, resolve)
    asked.on('error', reject)
    asked.end(body)
  })
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}
