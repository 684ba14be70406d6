import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Admission } from './admission.js'
import { readBody, refuseUpgrade } from './http.js'
import { HttpPlace } from './http-place.js'
import { Links } from './links.js'
import { type SockJsConnection, SockJsLink } from './sockjs-link.js'
import { packageOptions, type SockJsOptions, type SockJsSettings, sockJsSettings } from './sockjs-options.js'
import {
  actsForAnother,
  isBelow,
  parseRequest,
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
 * It carries text only. With `port` it has an HTTP server of the transports' own; with `server`, or with
 * that of `app.attach()`, it takes the requests below `prefix` and leaves all else to other listeners.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport: sockjs({ port: 3001, origins: ['https://example.com'] }) })
 */
export function sockjs(options: SockJsOptions = {}): Transport {
  return new SockJsTransport(sockJsSettings(options))
}

class SockJsTransport implements Transport {
  readonly name = 'sockjs'
  readonly path: string
  readonly capabilities: TransportCapabilities
  readonly highWaterMark: number
  readonly maxPayload: number
  readonly #settings: SockJsSettings
  readonly #admission: Admission
  readonly #package: SockJsPackage
  readonly #sessions: SockJsSessions
  readonly #links = new Links<SockJsLink>()
  readonly #upgraded = new Set<Socket>()
  readonly #place: HttpPlace

  constructor(settings: SockJsSettings) {
    this.#settings = settings
    this.path = settings.prefix
    this.#place = new HttpPlace('sockjs', settings, this.path, {
      takes: asked => isBelow(this.path, asked),
      request: (request, response) => void this.#request(request, response),
      upgrade: (request, head) => void this.#upgrade(request, head),
    })
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
      sticky: true,
    }
    this.#package = new SockJsPackage(
      packageOptions(settings),
      settings.maxPayload * ENVELOPE,
      connection => this.#connect(connection),
      line => this.#place.host?.log('debug', line),
    )
  }

  async start(host: TransportHost): Promise<void> {
    await this.#place.open(host)
    this.#sessions.open(host)
  }

  address(): TransportAddress | undefined {
    return this.#place.address('http')
  }

  /** The server goes on listening: those who poll connect again and again. */
  stopAccepting(): void {
    this.#sessions.accepting = false
  }

  stop(): Promise<void> {
    return this.#place.close(async () => {
      this.#sessions.accepting = false
      await this.#links.terminate()
      for (const socket of this.#upgraded) socket.destroy()
      this.#sessions.clear()
    })
  }

  /** Called by a link that has closed. */
  forget(link: SockJsLink): void {
    this.#links.delete(link)
  }

  /** Called by a link that is terminated between two responses. */
  abandon(link: SockJsLink): void {
    this.#package.abandon(link.token, () => link.gone)
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { maxPayload } = this.#settings
    const wanted = parseRequest(this.path, request)
    try {
      const handshake = this.#handshake(request, wanted)
      if (!this.#admission.originAllowed(request, handshake)) {
        const verdict = await this.#admission.judge(request, handshake, this.#place.host)
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
      if (wanted.way === 'websocket' && wanted.receives && this.#settings.websocket) {
        return noUpgrade(request, response)
      }
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
      this.#place.host?.log('error', 'A SockJS request failed', { error, url: request.url })
      if (response.headersSent) response.destroy()
      else refuse(response, FAILED)
    } finally {
      // One that made no session: its client left, or the request was not as the package wants it.
      setImmediate(() => this.#sessions.sweep(wanted.session))
    }
  }

  async #upgrade(request: IncomingMessage, head: Buffer): Promise<void> {
    const { socket, headers } = request
    const wanted = parseRequest(this.path, request)
    // The package would take other requests with a bare socket for a response.
    if (!this.#settings.websocket || wanted.way !== 'websocket') {
      return refuseUpgrade(socket, 404, 'Not Found\n')
    }
    if (!wanted.receives) return refuseUpgrade(socket, 405, '', { Allow: 'GET' })
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
      else if (!verdict.accept) refuseUpgrade(socket, verdict.status, verdict.message, verdict.headers)
      else this.#package.upgrade(request, head, wanted, session.token, verdict.headers)
    } catch (error) {
      this.#place.host?.log('error', 'A SockJS upgrade failed', { error, url: request.url })
      refuseUpgrade(socket, FAILED.status, FAILED.message)
    }
  }

  #handshake(request: IncomingMessage, { query, way }: SockJsRequest): Handshake {
    const handshake = this.#admission.handshake(request, new URLSearchParams(query).getAll('protocol'))
    if (!actsForAnother(this.path, request, way)) return handshake
    const { cookie, ...headers } = handshake.headers
    return { ...handshake, headers, cookies: false }
  }

  #connect(connection: SockJsConnection): void {
    const session = this.#sessions.byToken(tokenOf(connection))
    const { accepted } = session ?? {}
    if (!this.#place.host || !session || !accepted) {
      connection.close(1001, 'The server has stopped')
      return
    }
    const link = new SockJsLink(session.token, connection, this, session.bare)
    session.link = link
    if (session.socket) link.attach(session.socket)
    this.#links.add(link)
    connection.on('close', () => this.#sessions.delete(session))
    try {
      link.listen(this.#place.host.connect(link, session.handshake, accepted))
    } catch (error) {
      this.#place.host.log('error', 'A SockJS link could not be taken over', {
        error,
        url: session.handshake.url,
      })
      link.terminate()
    }
  }

  #tooLarge(response: ServerResponse, session: Session | undefined): void {
    session?.link?.close(1009, 'The request is too large')
    refuse(response, TOO_LARGE)
  }
}

/** Answers a request for a WebSocket that is no upgrade, in the words of the SockJS protocol tests. */
function noUpgrade({ headers }: IncomingMessage, response: ServerResponse): void {
  const asked = headers.upgrade?.toLowerCase() === 'websocket'
  const why = asked ? '"Connection" must be "Upgrade".' : 'Can "Upgrade" only to "WebSocket".'
  response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' }).end(why)
}

/** Answers with an error, and without the headers that would let a page read it. */
function refuse(response: ServerResponse, verdict: Verdict): void {
  if (verdict.accept || response.headersSent) return
  const type = 'text/plain; charset=utf-8'
  response
    .writeHead(verdict.status, { ...verdict.headers, 'Content-Type': type, Connection: 'close' })
    .end(verdict.message)
}

function setHeaders(response: ServerResponse, { headers = {} }: Verdict & { accept: true }): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}
