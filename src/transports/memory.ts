import { SocketStreamError } from '../errors.js'
import { Links } from './links.js'
import { MemoryEnd } from './memory-link.js'
import { checkOptions } from './option-checks.js'
import type {
  Handshake,
  Link,
  LinkHandler,
  Transport,
  TransportAddress,
  TransportCapabilities,
  TransportHost,
} from './transport.js'

/** Options of `memory`. */
export interface MemoryOptions {
  /** Length of the largest frame: bytes, or characters of text. Default `Infinity`. */
  readonly maxFrame?: number
  /** Bytes waiting for an end at which its peer's `send` returns false. Default 262144. */
  readonly highWaterMark?: number
}

/** What a client in memory says of itself in its handshake. */
export interface MemoryConnectOptions {
  /** Path and query. Default `/`. */
  readonly url?: string
  /** Request headers, with names in lower case. Default none. */
  readonly headers?: Handshake['headers']
  /** Default `127.0.0.1`. */
  readonly clientIp?: string
  /** Default false. */
  readonly secure?: boolean
  /** Subprotocols to offer. Default none. */
  readonly protocols?: readonly string[]
}

/** The client's end of a link in memory. */
export interface MemoryClientLink extends Link {
  /** The subprotocol agreed; empty when none was. */
  readonly protocol: string
  /** Takes the events of this end. Frames and the close wait until it is called. */
  listen(handler: Partial<LinkHandler>): void
  /** Closes; the code defaults to 1000, the reason to none. */
  close(code?: number, reason?: string): void
}

/** A transport within one process, with the clients' side of it. */
export interface MemoryTransport extends Transport {
  /**
   * Connects a client.
   *
   * @throws SocketStreamError (as a rejection) `REFUSED` with `data: { status }` when the server
   *   refuses, `NOT_CONNECTED` when it does not accept clients
   */
  connect(options?: MemoryConnectOptions): Promise<MemoryClientLink>
}

const RULES = {
  maxFrame: {
    test: (value: unknown) => typeof value === 'number' && value > 0,
    wants: 'a number of bytes above 0',
    fix: 'maxFrame: 1024 * 1024',
  },
  highWaterMark: {
    test: (value: unknown) => typeof value === 'number' && value > 0,
    wants: 'a number of bytes above 0',
    fix: 'highWaterMark: 256 * 1024',
  },
}

/**
 * A transport between clients and a server in one process: for tests, benchmarks and browsers.
 *
 * Frames pass by reference and arrive in order in the next microtask turn, never within `send`.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const transport = memory()
 * const app = new Server({ transport })
 * await app.start()
 * const link = await transport.connect({ protocols: ['ss1.json'] })
 * link.listen({ frame: frame => console.log(frame) })
 */
export function memory(options: MemoryOptions = {}): MemoryTransport {
  checkOptions('memory', options, RULES)
  return new Memory(options)
}

class Memory implements MemoryTransport {
  readonly name = 'memory'
  readonly capabilities: TransportCapabilities
  readonly #linkOptions: { maxFrame: number; highWaterMark: number }
  readonly #links = new Links<MemoryEnd>()
  #host: TransportHost | undefined
  #accepting = false

  constructor({ maxFrame = Number.POSITIVE_INFINITY, highWaterMark = 256 * 1024 }: MemoryOptions) {
    this.capabilities = { binary: true, heartbeat: false, maxFrame, closeCodes: true, pause: true }
    this.#linkOptions = { maxFrame, highWaterMark }
  }

  async start(host: TransportHost): Promise<void> {
    if (this.#host) throw new SocketStreamError('INVALID_STATE', 'memory: the transport has been started')
    this.#host = host
    this.#accepting = true
  }

  address(): TransportAddress | undefined {
    return this.#host && { url: 'memory:' }
  }

  async connect(options: MemoryConnectOptions = {}): Promise<MemoryClientLink> {
    const host = this.#host
    if (!host || !this.#accepting) throw notAccepting()
    const handshake: Handshake = {
      transport: this.name,
      url: options.url ?? '/',
      headers: options.headers ?? {},
      clientIp: options.clientIp ?? '127.0.0.1',
      secure: options.secure ?? false,
      cookies: true,
      protocols: options.protocols ?? [],
    }
    const verdict = await host.authorize(handshake)
    if (!verdict.accept) {
      throw new SocketStreamError('REFUSED', verdict.message, { data: { status: verdict.status } })
    }
    if (!this.#accepting) throw notAccepting()
    const { server, client } = MemoryEnd.pair(verdict.protocol ?? '', this.#linkOptions, end =>
      this.#links.delete(end),
    )
    const handler = host.connect(server, handshake, verdict)
    this.#links.add(server)
    server.listen(handler)
    return client
  }

  stopAccepting(): void {
    this.#accepting = false
  }

  async stop(): Promise<void> {
    this.stopAccepting()
    await this.#links.terminate()
    this.#host = undefined
  }
}

function notAccepting() {
  return new SocketStreamError('NOT_CONNECTED', 'memory: the server accepts no clients; start it first')
}
