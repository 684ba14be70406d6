import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { Server as EngineServer, type Socket as EngineSocket } from 'engine.io'
import type { WebSocket } from 'ws'
import { SocketStreamError } from '../errors.js'
import { Admission } from './admission.js'
import { type Accepted, EngineIoHandshakes, lastParam, webSocketServer } from './engine-io-handshakes.js'
import { EngineIoLink } from './engine-io-link.js'
import {
  type EngineIoOptions,
  type EngineIoSettings,
  engineIoSettings,
  largestFrame,
} from './engine-io-options.js'
import { listen, refuseUpgrade, requestPath, requestTimeouts, urlHost } from './http.js'
import { Links } from './links.js'
import { interceptRequests } from './request-intercept.js'
import type { Transport, TransportAddress, TransportCapabilities, TransportHost } from './transport.js'

export type { TrustProxy } from './client-address.js'
export type { EngineIoOptions } from './engine-io-options.js'
export type { Origins } from './origin.js'

/**
 * A transport over Engine.IO: HTTP long-polling that upgrades to WebSocket, on the `engine.io` package.
 *
 * With `port` it has an HTTP server of its own. With `server` it takes the requests and upgrades on its
 * path and leaves others to the listeners which that server has; `start` does not wait for it to listen.
 * Subprotocols are offered in the query, as in `?protocol=ss1.json`; the one chosen is in the header
 * `SocketStream-Protocol` of the answer.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport: engineio({ port: 3001 }) })
 */
export function engineio(options: EngineIoOptions): Transport {
  return new EngineIoTransport(engineIoSettings(options))
}

class EngineIoTransport implements Transport {
  readonly name = 'engineio'
  readonly capabilities: TransportCapabilities
  readonly highWaterMark: number
  readonly maxFrame: number
  readonly #settings: EngineIoSettings
  readonly #handshakes: EngineIoHandshakes
  readonly #links = new Links<EngineIoLink>()
  readonly #bySid = new Map<string, EngineIoLink>()
  readonly #sockets = new Set<WebSocket>()
  #host: TransportHost | undefined
  #server: Server | undefined
  #engine: EngineServer | undefined
  #release: () => void = () => undefined
  /** Resolves once the transport's own server has closed. */
  #closed: Promise<unknown> | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(settings: EngineIoSettings) {
    this.#settings = settings
    this.#handshakes = new EngineIoHandshakes(settings, new Admission(this.name, settings))
    this.highWaterMark = settings.highWaterMark
    this.maxFrame = largestFrame(settings)
    this.capabilities = {
      binary: true,
      heartbeat: true,
      maxFrame: this.maxFrame,
      closeCodes: false,
      pause: false,
    }
  }

  async start(host: TransportHost): Promise<void> {
    if (this.#host) throw new SocketStreamError('INVALID_STATE', 'engineio: the transport has been started')
    this.#host = host
    this.#starting = this.#open(host)
    try {
      await this.#starting
    } catch (error) {
      this.#host = undefined
      throw error
    }
  }

  address(): TransportAddress | undefined {
    const bound = this.#server?.address()
    if (!bound || typeof bound === 'string') return undefined
    const scheme = this.#server instanceof TlsServer ? 'https' : 'http'
    return { url: `${scheme}://${urlHost(bound)}${this.#settings.path}`, port: bound.port }
  }

  /** Keeps listening, as the clients it has come back with every poll. */
  stopAccepting(): void {
    this.#handshakes.host = undefined
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#close().finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  /** Called by a link that is gone. */
  forget(link: EngineIoLink): void {
    this.#links.delete(link)
  }

  async #open(host: TransportHost): Promise<void> {
    const { server: given, handshakeTimeout } = this.#settings
    const server = given ?? createServer(requestTimeouts(handshakeTimeout))
    if (!given) {
      await listen(server, { port: 0, ...this.#settings })
      server.on('error', error => host.log('error', 'The HTTP server of engineio failed', { error }))
      this.#closed = new Promise(resolve => server.once('close', resolve))
    }
    this.#handshakes.host = host
    this.#engine = this.#createEngine()
    this.#server = server
    this.#release = interceptRequests(server, request => this.#takes(request), this.#request)
    server.on('upgrade', this.#upgrade)
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

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined)
    const server = this.#server
    if (!server) return
    this.stopAccepting()
    this.#release()
    server.off('upgrade', this.#upgrade)
    if (!this.#settings.server) server.close()
    this.#handshakes.drop()
    await this.#links.terminate()
    this.#engine?.close()
    for (const socket of this.#sockets) socket.terminate()
    if (!this.#settings.server) server.closeAllConnections()
    await this.#closed
    this.#server = this.#engine = this.#host = this.#closed = undefined
  }

  #takes(request: IncomingMessage): boolean {
    const path = requestPath(request)
    const own = this.#settings.path
    return path === own || path === (own.endsWith('/') ? own.slice(0, -1) : `${own}/`)
  }

  readonly #request = (request: IncomingMessage, response: ServerResponse): void => {
    const sid = lastParam(request, 'sid')
    if (sid === undefined) this.#handshakes.awaitAnswer(request, response)
    else this.#bySid.get(sid)?.answering(response)
    this.#engine?.handleRequest(request, response)
  }

  readonly #upgrade = (request: IncomingMessage, _stream: unknown, head: Buffer): void => {
    const { server } = this.#settings
    const { socket } = request
    const ours = this.#takes(request)
    if (!ours && server && server.listenerCount('upgrade') > 1) return
    // A socket without an error listener would end the process when its peer resets it.
    socket.on('error', destroy)
    if (!ours) refuseUpgrade(socket, 404, 'Not Found\n')
    else this.#engine?.handleUpgrade(request, socket, head)
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
      if (!this.#host) throw new Error('The transport has stopped')
      this.#track(socket, link, accepted)
      link.listen(this.#host.connect(link, accepted.handshake, accepted.verdict))
    } catch (error) {
      this.#host?.log('error', 'An Engine.IO link could not be taken over', { error })
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

/** Not a closure, which would keep the request in memory as long as the socket. */
function destroy(this: Socket): void {
  this.destroy()
}
