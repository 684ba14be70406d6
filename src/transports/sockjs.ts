import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { SocketStreamError } from '../errors.js'
import { Admission } from './admission.js'
import { listen, refuseUpgrade, requestTimeouts, urlHost } from './http.js'
import { Links } from './links.js'
import { interceptRequests } from './request-intercept.js'
import { type SockJsConnection, SockJsLink } from './sockjs-link.js'
import { packageOptions, type SockJsOptions, type SockJsSettings, sockJsSettings } from './sockjs-options.js'
import {
  actsForAnother,
  isBelow,
  parseRequest,
  readBody,
  SockJsPackage,
  type SockJsRequest,
  tokenOf,
} from './sockjs-requests.js'
import { FAILED, NO_MORE, type Session, SockJsSessions, TOO_LARGE } from './sockjs-sessions.js'
import type {
  Handshake,
  Transport,
  TransportAddress,
  TransportCapabilities,
  TransportHost,
  Verdict,
} from './transport.js'

export type { TrustProxy } from './client-address.js'
export type { Origins } from './origin.js'
export type { SockJsOptions } from './sockjs-options.js'

/** Bytes in a request or WebSocket message per byte of the largest frame: escapes, and several frames. */
const ENVELOPE = 4

/** Stands for sessions that are not there; the package then says so. */
const NOBODY = 'none'

/**
 * A transport over SockJS, on the `sockjs` package: WebSocket, or HTTP where that is blocked.
 *
 * It carries text only. With `port` it has an HTTP server of its own; with `server` it takes the requests
 * below `path` from that one's other listeners.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport: sockjs({ port: 3001, origins: ['https://example.com'] }) })
 */
export function sockjs(options: SockJsOptions): Transport {
  return new SockJsTransport(sockJsSettings(options))
}

class SockJsTransport implements Transport {
  readonly name = 'sockjs'
  readonly capabilities: TransportCapabilities
  readonly highWaterMark: number
  readonly maxPayload: number
  readonly #settings: SockJsSettings
  readonly #admission: Admission
  readonly #package: SockJsPackage
  readonly #sessions: SockJsSessions
  readonly #links = new Links<SockJsLink>()
  readonly #upgraded = new Set<Socket>()
  #host: TransportHost | undefined
  #server: Server | undefined
  #release: () => void = () => undefined
  #closed: Promise<unknown> | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(settings: SockJsSettings) {
    this.#settings = settings
    this.#admission = new Admission('sockjs', settings)
    this.#sessions = new SockJsSessions(settings, this.#admission)
    this.highWaterMark = settings.highWaterMark
    this.maxPayload = settings.maxPayload
    // SockJS tells clients the server's code, and has no way to tell the server theirs.
    this.capabilities = {
      binary: false,
      heartbeat: true,
      maxFrame: settings.maxPayload,
      closeCodes: false,
      pause: false,
    }
    this.#package = new SockJsPackage(
      packageOptions(settings),
      settings.maxPayload * ENVELOPE,
      connection => this.#connect(connection),
      line => this.#host?.log('debug', line),
    )
  }

  async start(host: TransportHost): Promise<void> {
    if (this.#host) throw new SocketStreamError('INVALID_STATE', 'sockjs: the transport has been started')
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

  /** The server goes on listening: those who poll connect again and again. */
  stopAccepting(): void {
    this.#sessions.accepting = false
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#close().finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  /** Called by a link that has closed. */
  forget(link: SockJsLink): void {
    this.#links.delete(link)
  }

  /** Called by a link that is terminated between two responses. */
  abandon(link: SockJsLink): void {
    this.#package.abandon(link.token, () => link.gone)
  }

  async #open(host: TransportHost): Promise<void> {
    const { server: given, path, handshakeTimeout } = this.#settings
    if (given) {
      this.#server = given
    } else {
      const own = createServer(requestTimeouts(handshakeTimeout))
      await listen(own, { port: 0, ...this.#settings })
      own.on('error', error => host.log('error', 'The HTTP server of sockjs failed', { error }))
      this.#server = own
      this.#closed = new Promise(resolve => own.once('close', resolve))
    }
    this.#release = interceptRequests(
      this.#server,
      request => isBelow(path, request),
      (request, response) => void this.#request(request, response),
    )
    this.#server.on('upgrade', this.#upgrade)
    this.#sessions.open(host)
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined)
    const server = this.#server
    if (!server) return
    this.#sessions.accepting = false
    this.#release()
    server.off('upgrade', this.#upgrade)
    await this.#links.terminate()
    for (const socket of this.#upgraded) socket.destroy()
    this.#sessions.clear()
    if (!this.#settings.server) {
      server.close()
      server.closeAllConnections()
    }
    await this.#closed
    this.#closed = this.#server = this.#host = undefined
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path, maxPayload } = this.#settings
    const wanted = parseRequest(path, request)
    try {
      const handshake = this.#handshake(request, wanted)
      if (!this.#admission.originAllowed(request, handshake)) {
        const verdict = await this.#admission.judge(request, handshake, this.#host)
        return refuse(response, verdict.accept ? NO_MORE : verdict)
      }
      const limit = maxPayload * ENVELOPE
      const known = wanted.session === undefined ? undefined : this.#sessions.get(wanted.session)
      if (Number(request.headers['content-length']) > limit) return this.#tooLarge(response, known)
      if (wanted.sends) {
        const body = await readBody(request, limit)
        if (response.closed || request.socket.destroyed) return
        if (body === undefined) return this.#tooLarge(response, known)
        return this.#package.request(request, response, wanted, known?.token ?? NOBODY, body)
      }
      // Without an upgrade there is no WebSocket; the package says so.
      if (!wanted.receives || wanted.session === undefined || wanted.way === 'websocket') {
        return this.#package.request(request, response, wanted, NOBODY)
      }
      const session = known ?? this.#sessions.admit(request, handshake, wanted)
      const verdict = await this.#sessions.decided(session)
      if (response.closed || request.socket.destroyed) return
      if (!verdict.accept) return refuse(response, verdict)
      if (!session.link) setHeaders(response, verdict)
      this.#package.request(request, response, wanted, session.token)
      if (session.link) session.link.attach(request.socket, response)
      else process.nextTick(() => session.link?.attach(request.socket, response))
    } catch (error) {
      this.#host?.log('error', 'A SockJS request failed', { error, url: request.url })
      if (response.headersSent) response.destroy()
      else refuse(response, FAILED)
    } finally {
      // One that made no session: its client left, or the request was not as the package wants it.
      setImmediate(() => this.#sessions.sweep(wanted.session))
    }
  }

  readonly #upgrade = (request: IncomingMessage, _stream: unknown, head: Buffer): void => {
    const { server, path } = this.#settings
    const { socket } = request
    const ours = isBelow(path, request)
    if (!ours && server && server.listenerCount('upgrade') > 1) return
    // A socket without an error listener would end the process when its peer resets it.
    socket.on('error', () => socket.destroy())
    if (ours) void this.#admitUpgrade(request, head)
    else refuseUpgrade(socket, 404, 'Not Found\n')
  }

  async #admitUpgrade(request: IncomingMessage, head: Buffer): Promise<void> {
    const { socket, headers } = request
    const wanted = parseRequest(this.#settings.path, request)
    // The package would take other requests with a bare socket for a response.
    if (!this.#settings.websocket || wanted.way !== 'websocket' || !wanted.receives) {
      return refuseUpgrade(socket, 404, 'Not Found\n')
    }
    if (headers.upgrade?.toLowerCase() !== 'websocket') {
      return refuseUpgrade(socket, 400, 'Not a valid websocket request\n')
    }
    this.#upgraded.add(socket)
    socket.once('close', () => this.#upgraded.delete(socket))
    try {
      const session = this.#sessions.admit(request, this.#handshake(request, wanted), wanted)
      socket.once('close', () => this.#sessions.delete(session))
      const verdict = await this.#sessions.decided(session)
      if (!socket.readable || !socket.writable) socket.destroy()
      else if (!verdict.accept) refuseUpgrade(socket, verdict.status, verdict.message)
      else this.#package.upgrade(request, head, wanted, session.token)
    } catch (error) {
      this.#host?.log('error', 'A SockJS upgrade failed', { error, url: request.url })
      refuseUpgrade(socket, FAILED.status, FAILED.message)
    }
  }

  #handshake(request: IncomingMessage, { query, way }: SockJsRequest): Handshake {
    const handshake = this.#admission.handshake(request, new URLSearchParams(query).getAll('protocol'))
    if (!actsForAnother(this.#settings.path, request, way)) return handshake
    const { cookie, ...headers } = handshake.headers
    return { ...handshake, headers }
  }

  #connect(connection: SockJsConnection): void {
    const session = this.#sessions.byToken(tokenOf(connection.url))
    const { accepted } = session ?? {}
    if (!this.#host || !session || !accepted) {
      connection.close(1001, 'The server has stopped')
      return
    }
    const link = new SockJsLink(session.token, connection, this, session.bare)
    session.link = link
    if (session.socket) link.attach(session.socket)
    this.#links.add(link)
    connection.on('close', () => this.#sessions.delete(session))
    try {
      link.listen(this.#host.connect(link, session.handshake, accepted))
    } catch (error) {
      this.#host.log('error', 'A SockJS link could not be taken over', { error, url: session.handshake.url })
      link.terminate()
    }
  }

  #tooLarge(response: ServerResponse, session: Session | undefined): void {
    session?.link?.close(1009, 'The request is too large')
    refuse(response, TOO_LARGE)
  }
}

/** Answers with an error, and without the headers that would let a page read it. */
function refuse(response: ServerResponse, verdict: Verdict): void {
  if (verdict.accept || response.headersSent) return
  const type = 'text/plain; charset=utf-8'
  response.writeHead(verdict.status, { 'Content-Type': type, Connection: 'close' }).end(verdict.message)
}

function setHeaders(response: ServerResponse, { headers = {} }: Verdict & { accept: true }): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}
