import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as EngineServer, type Socket as EngineSocket } from 'engine.io'
import type { WebSocket } from 'ws'
import { Admission } from './admission.js'
import { type Accepted, EngineIoHandshakes, lastParam, webSocketServer } from './engine-io-handshakes.js'
import { EngineIoLink } from './engine-io-link.js'
import {
  type EngineIoOptions,
  type EngineIoSettings,
  engineIoSettings,
  largestFrame,
} from './engine-io-options.js'
import { HttpPlace } from './http-place.js'
import { Links } from './links.js'
import type { Transport, TransportAddress, TransportCapabilities, TransportHost } from './transport.js'

export type { TrustProxy } from './client-address.js'
export type { EngineIoOptions } from './engine-io-options.js'
export type { Origins } from './origin.js'

/**
 * A transport over Engine.IO: HTTP long-polling that upgrades to WebSocket, on the `engine.io` package.
 *
 * With `port` it has an HTTP server of the transports' own. With `server`, or with that of `app.attach()`,
 * it takes the requests and upgrades on its path and leaves all else to other listeners; `start` does not
 * wait for that server to listen.
 * Subprotocols are offered in the query, as in `?protocol=ss1.json`; the one chosen is in the header
 * `SocketStream-Protocol` of the answer.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport: engineio({ port: 3001 }) })
 */
export function engineio(options: EngineIoOptions = {}): Transport {
  return new EngineIoTransport(engineIoSettings(options))
}

class EngineIoTransport implements Transport {
  readonly name = 'engineio'
  readonly path: string
  readonly capabilities: TransportCapabilities
  readonly highWaterMark: number
  readonly maxFrame: number
  readonly #settings: EngineIoSettings
  readonly #handshakes: EngineIoHandshakes
  readonly #links = new Links<EngineIoLink>()
  readonly #bySid = new Map<string, EngineIoLink>()
  readonly #sockets = new Set<WebSocket>()
  readonly #place: HttpPlace
  #engine: EngineServer | undefined

  constructor(settings: EngineIoSettings) {
    this.#settings = settings
    this.path = settings.path
    this.#place = new HttpPlace(this.name, settings, settings.path, {
      takes: asked => asked === this.path || asked === this.#otherPath,
      request: (request, response) => this.#request(request, response),
      upgrade: (request, head) => this.#engine?.handleUpgrade(request, request.socket, head),
    })
    this.#handshakes = new EngineIoHandshakes(settings, new Admission(this.name, settings))
    this.highWaterMark = settings.highWaterMark
    this.maxFrame = largestFrame(settings)
    this.capabilities = {
      binary: true,
      heartbeat: true,
      maxFrame: this.maxFrame,
      closeCodes: false,
      pause: false,
      sticky: settings.transports.includes('polling'),
    }
  }

  async start(host: TransportHost): Promise<void> {
    this.#engine ??= this.#createEngine()
    await this.#place.open(host)
    this.#handshakes.host = host
  }

  address(): TransportAddress | undefined {
    return this.#place.address('http')
  }

  /** Keeps listening, as the clients it has come back with every poll. */
  stopAccepting(): void {
    this.#handshakes.host = undefined
  }

  stop(): Promise<void> {
    return this.#place.close(async () => {
      this.#handshakes.host = undefined
      this.#handshakes.drop()
      await this.#links.terminate()
      this.#engine?.close()
      for (const socket of this.#sockets) socket.terminate()
      this.#engine = undefined
    })
  }

  /** Called by a link that is gone. */
  forget(link: EngineIoLink): void {
    this.#links.delete(link)
  }

  /** The path with or without the slash at its end. */
  get #otherPath(): string {
    return this.path.endsWith('/') ? this.path.slice(0, -1) : `${this.path}/`
  }

  #createEngine(): EngineServer {
    const { port, host, backlog, server, path, origins, trustProxy, handshakeTimeout, ...rest } =
      this.#settings
    const { maxPendingHandshakes, highWaterMark, transports, httpCompression, ...passedOn } = rest
    const engine = new EngineServer({
      ...passedOn,
      // Told `true`, engine.io compresses everything; not told, from its threshold on.
      ...(httpCompression !== true && httpCompression !== undefined && { httpCompression }),
      transports: [...transports],
      wsEngine: webSocketServer((socket, request) => this.#opened(socket, request)),
      allowRequest: (request, proceed) => void this.#handshakes.decide(request, proceed),
    })
    engine.generateId = request => this.#handshakes.accepted(request).sid
    engine.on('initial_headers', (headers: Record<string, string>, request: IncomingMessage) => {
      Object.assign(headers, this.#handshakes.headers(request))
    })
    engine.on('headers', (headers: Record<string, string>, request: IncomingMessage) => {
      Object.assign(headers, this.#handshakes.corsHeaders(request))
    })
    engine.on('connection', (socket: EngineSocket) => this.#connect(socket))
    return engine
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const sid = lastParam(request, 'sid')
    if (sid === undefined) this.#handshakes.awaitAnswer(request, response)
    else this.#bySid.get(sid)?.answering(response)
    this.#engine?.handleRequest(request, response)
  }

  /** A WebSocket opened: of a new client, of one that upgrades, or of one that is unknown. */
  #opened(socket: WebSocket, request: IncomingMessage): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const sid = lastParam(request, 'sid')
    if (sid === undefined) this.#handshakes.accepted(request).socket = socket
    else this.#bySid.get(sid)?.upgraded(socket)
  }

  #connect(socket: EngineSocket): void {
    const link = new EngineIoLink(socket, this)
    this.#links.add(link)
    try {
      const accepted = this.#handshakes.accepted(socket.request)
      if (!this.#place.host) throw new Error('The transport has stopped')
      this.#track(socket, link, accepted)
      link.listen(this.#place.host.connect(link, accepted.handshake, accepted.verdict))
    } catch (error) {
      this.#place.host?.log('error', 'An Engine.IO link could not be taken over', { error })
      link.terminate()
    }
  }

  #track(engine: EngineSocket, link: EngineIoLink, { sid, socket, response }: Accepted): void {
    this.#bySid.set(sid, link)
    engine.once('close', () => this.#bySid.delete(sid))
    if (socket) link.upgraded(socket)
    if (response) link.answering(response)
  }
}
