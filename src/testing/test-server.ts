import type { AnyServer, Client } from '../client/client.js'
import { createClient } from '../client/node.js'
import type { ResumableClientOptions } from '../client/resumable-core.js'
import { SocketStreamError } from '../errors.js'
import { type MemoryConnectOptions, type MemoryTransport, memory } from '../transports/memory.js'
import type { FaultLink } from './fault-link.js'
import { memoryClient } from './memory-client.js'
import { type VirtualTime, type VirtualTimeOptions, virtualTime } from './virtual-time.js'

/** A server that can be tested: a `Server`, or what wraps one. */
export interface TestableServer extends AnyServer {
  start(): Promise<unknown>
  stop(options?: { drain?: number }): Promise<unknown>
}

/** How a client of a test kit is made. */
export interface TestClientOptions
  extends Partial<Omit<ResumableClientOptions, 'transport'>>,
    Omit<MemoryConnectOptions, 'protocols' | 'url'> {
  /** What happens to its links. Default nothing. */
  readonly faults?: FaultLink
}

/** A server in memory under virtual time, and clients of it; see `testServer`. */
export interface TestKit<App extends AnyServer> extends VirtualTime {
  /** The server, started. */
  readonly app: App
  /** The transport, for what connects by hand. */
  readonly transport: MemoryTransport
  /** Makes a client, closed by `stop()` at the latest. Its `url` gives path and query. */
  client(options?: TestClientOptions): Client<App>
  /** Makes a client and connects it. @throws as `client.connect()` does */
  connect(options?: TestClientOptions): Promise<Client<App>>
  /** Stops clients and server, and gives the process its time back. Idempotent. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a server in memory under virtual time, with real clients to test it with.
 *
 * @param make makes the server on the transport given; it may be asynchronous
 * @param options where time begins, and the seed of `Math.random`, which spreads reconnects
 * @throws SocketStreamError `INVALID_STATE` while another kit runs in this process; what `start()` throws
 * @example
 * const kit = await testServer(transport => new Server({ transport }).service('rpc', rpc(methods)))
 * const client = await kit.connect()
 * const answer = client.api.rpc.slow()
 * await kit.advance(30_000)
 * await kit.stop()
 */
export async function testServer<App extends TestableServer>(
  make: (transport: MemoryTransport) => App | Promise<App>,
  options: VirtualTimeOptions = {},
): Promise<TestKit<App>> {
  if (typeof make !== 'function') {
    throw new SocketStreamError(
      'INVALID_OPTION',
      'testServer() takes a function, as in testServer(transport => new Server({ transport }))',
    )
  }
  const time = virtualTime(options)
  const transport = memory()
  let app: App
  try {
    app = await make(transport)
    await time.until(app.start())
  } catch (error) {
    time.restore()
    throw error
  }
  const clients: Client<App>[] = []
  const links: FaultLink[] = []
  let stopped: Promise<void> | undefined

  const client = (given: TestClientOptions = {}): Client<App> => {
    const { faults, headers, clientIp, secure, ...rest } = given
    const about = { headers, clientIp, secure, url: pathOf(rest.url) }
    const known = Object.entries(about).filter(([, value]) => value !== undefined)
    const ends = memoryClient(transport, Object.fromEntries(known))
    if (faults !== undefined) links.push(faults)
    const made = createClient<App>({ url: 'memory:', ...rest, transport: faults?.client(ends) ?? ends })
    clients.push(made)
    return made
  }
  const stop = async (): Promise<void> => {
    try {
      for (const made of clients) made.close()
      for (const link of links) link.close()
      await time.until(app.stop({ drain: 0 }))
    } finally {
      time.restore()
    }
  }
  const kit = {
    app,
    transport,
    client,
    async connect(given?: TestClientOptions) {
      const made = client(given)
      await time.until(made.connect())
      return made
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
    [Symbol.asyncDispose]: () => kit.stop(),
  }
  // The time's own object, as its getters must stay getters.
  return Object.assign(time, kit)
}

/** Path and query of a client's URL. */
function pathOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : /^[a-z]+:(?:\/\/[^/?]*)?(.*)$/i.exec(url)?.[1] || url
}
