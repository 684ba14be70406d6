import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws'
import type { Admission } from './admission.js'
import type { EngineIoSettings } from './engine-io-options.js'
import { refuseUpgrade } from './http.js'
import type { Handshake, TransportHost, Verdict } from './transport.js'

/** engine.io's code for a request that it was told to refuse. */
const FORBIDDEN = 4

/** A client that was accepted, on its way to being connected. */
export interface Accepted {
  readonly handshake: Handshake
  readonly verdict: Verdict & { accept: true }
  /** The id that the client shall have. */
  readonly sid: string
  /** What the answer goes to, when it is a poll. */
  readonly response: ServerResponse | undefined
  /** The client's WebSocket, when it begins with one. */
  socket?: WebSocket
}

/** Decides on the handshakes of Engine.IO clients. */
export class EngineIoHandshakes {
  /** Who decides; none while no clients are accepted. */
  host: TransportHost | undefined
  readonly #settings: EngineIoSettings
  readonly #admission: Admission
  readonly #pending = new Set<Socket>()
  readonly #responses = new WeakMap<IncomingMessage, ServerResponse>()
  readonly #accepted = new WeakMap<IncomingMessage, Accepted>()

  constructor(settings: EngineIoSettings, admission: Admission) {
    this.#settings = settings
    this.#admission = admission
  }

  /** Takes note of what a handshake by polling is to be answered with. */
  awaitAnswer(request: IncomingMessage, response: ServerResponse): void {
    this.#responses.set(request, response)
  }

  /** The client that came with this request; throws for one that was not accepted. */
  accepted(request: IncomingMessage): Accepted {
    const accepted = this.#accepted.get(request)
    if (!accepted) throw new Error('The handshake was not accepted')
    return accepted
  }

  /** Decides on a well-formed handshake, and lets engine.io proceed with it or refuses. */
  async decide(request: IncomingMessage, proceed: (error: null, accept: true) => void): Promise<void> {
    const { socket } = request
    const { host } = this
    if (!host || this.#pending.size >= this.#settings.maxPendingHandshakes) {
      host?.refused?.('pending')
      this.#refuse(request, 503, 'No more clients are accepted now; try again later.\n')
      return
    }
    let late = false
    this.#pending.add(socket)
    const deadline = setTimeout(() => {
      late = true
      this.#pending.delete(socket)
      this.#refuse(request, 408, 'The handshake took too long; try again.\n')
    }, this.#settings.handshakeTimeout)
    try {
      const offered = new URL(request.url ?? '/', 'http://x').searchParams.getAll('protocol')
      const protocols = offered.flatMap(list => list.split(',')).filter(name => name !== '')
      const handshake = this.#admission.handshake(request, protocols)
      const verdict = await this.#admission.judge(request, handshake, host)
      if (late) return
      // The client may have left meanwhile.
      if (!socket.readable || !socket.writable) {
        socket.destroy()
      } else if (!verdict.accept) {
        this.#refuse(request, verdict.status, verdict.message, verdict.headers)
      } else if (this.host !== host) {
        this.#refuse(request, 503, 'No more clients are accepted; try elsewhere.\n')
      } else {
        const sid = randomBytes(15).toString('base64url')
        this.#accepted.set(request, { handshake, verdict, sid, response: this.#responses.get(request) })
        proceed(null, true)
      }
    } catch (error) {
      host.log('error', 'An Engine.IO handshake failed', { error, url: request.url })
      if (!late) this.#refuse(request, 500, 'The server failed; its log says why.\n')
    } finally {
      clearTimeout(deadline)
      this.#pending.delete(socket)
    }
  }

  /** Drops all that are being decided on. */
  drop(): void {
    for (const socket of this.#pending) socket.destroy()
  }

  /** Headers for the answer to a handshake: those of the verdict, and the subprotocol chosen. */
  headers(request: IncomingMessage): Record<string, string> {
    const { protocol, headers } = this.accepted(request).verdict
    return { ...(protocol !== undefined && { 'SocketStream-Protocol': protocol }), ...headers }
  }

  /** Headers that let pages of other hosts, where they may connect, read the answer to a poll. */
  corsHeaders(request: IncomingMessage): Record<string, string> {
    const { origin } = request.headers
    if (origin === undefined) return {}
    if (!this.#admission.originAllowed(request, this.#admission.handshake(request, []))) return {}
    return {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      Vary: 'Origin',
    }
  }

  #refuse(
    request: IncomingMessage,
    status: number,
    message: string,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const response = this.#responses.get(request)
    if (!response) {
      refuseUpgrade(request.socket, status, message, more)
    } else if (!response.headersSent) {
      const headers = { ...more, 'Content-Type': 'application/json', ...this.corsHeaders(request) }
      response.writeHead(status, headers).end(JSON.stringify({ code: FORBIDDEN, message }))
    }
  }
}

/** A parameter of a request's query as engine.io reads it: the last of several. */
export function lastParam(request: IncomingMessage, name: string): string | undefined {
  return new URL(request.url ?? '/', 'http://x').searchParams.getAll(name).at(-1) || undefined
}

/** The class of the WebSocket server for engine.io to use, which tells of each WebSocket first. */
export function webSocketServer(
  opened: (socket: WebSocket, request: IncomingMessage) => void,
): new (
  options: ServerOptions,
) => WebSocketServer {
  return class extends WebSocketServer {
    override handleUpgrade(
      request: IncomingMessage,
      stream: Duplex,
      head: Buffer,
      callback: (client: WebSocket, request: IncomingMessage) => void,
    ): void {
      super.handleUpgrade(request, stream, head, socket => {
        opened(socket, request)
        callback(socket, request)
      })
    }
  }
}
