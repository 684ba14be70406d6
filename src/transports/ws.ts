import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer, type Server as WsServer } from 'ws'
import { Admission } from './admission.js'
import { refuseUpgrade } from './http.js'
import { HttpPlace } from './http-place.js'
import { Links } from './links.js'
import type {
  Handshake,
  Transport,
  TransportAddress,
  TransportCapabilities,
  TransportHost,
  Verdict,
} from './transport.js'
import { LinkSocket, WsLink } from './ws-link.js'
import { type WsOptions, type WsSettings, wsSettings } from './ws-options.js'

export type { TrustProxy } from './client-address.js'
export type { Origins } from './origin.js'
export type { WsOptions } from './ws-options.js'

/**
 * A transport over WebSocket (RFC 6455), on the `ws` package.
 *
 * With `port` it has an HTTP server of the transports' own. With `server`, or with that of `app.attach()`,
 * it takes the upgrades on its path and leaves all else to other listeners; `start` does not wait for that
 * server to listen.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport: ws({ port: 3001, origins: ['https://example.com'] }) })
 */
export function ws(options: WsOptions = {}): Transport {
  return new WsTransport(wsSettings(options))
}

interface Accepted {
  readonly handshake: Handshake
  readonly verdict: Verdict & { accept: true }
}

class WsTransport implements Transport {
  readonly name = 'ws'
  readonly path: string
  readonly capabilities: TransportCapabilities
  readonly highWaterMark: number
  readonly #settings: WsSettings
  readonly #admission: Admission
  readonly #upgrades: WsServer<typeof LinkSocket>
  readonly #pending = new Set<Socket>()
  readonly #accepted = new WeakMap<IncomingMessage, Accepted>()
  readonly #links = new Links<WsLink>()
  readonly #place: HttpPlace
  #accepting = false
  #beat: NodeJS.Timeout | undefined

  constructor(settings: WsSettings) {
    this.#settings = settings
    this.path = settings.path
    this.#admission = new Admission('ws', settings)
    this.highWaterMark = settings.highWaterMark
    this.capabilities = {
      binary: true,
      heartbeat: settings.heartbeat > 0,
      maxFrame: settings.maxPayload,
      closeCodes: true,
      pause: true,
    }
    const { port, host, backlog, server, path, origins, trustProxy, ...passedOn } = settings
    this.#place = new HttpPlace('ws', settings, path, {
      takes: asked => asked === path,
      upgrade: (request, head) => this.#upgrade(request, head),
    })
    this.#upgrades = new WebSocketServer({
      ...passedOn,
      noServer: true,
      clientTracking: false,
      WebSocket: LinkSocket,
      verifyClient: ({ req }, proceed) => void this.#admit(req, proceed),
      handleProtocols: (_offered, request) => this.#accepted.get(request)?.verdict.protocol ?? false,
    })
    this.#upgrades.on('headers', (headers, request) => {
      const extra = this.#accepted.get(request)?.verdict.headers ?? {}
      for (const [name, value] of Object.entries(extra)) headers.push(`${name}: ${value}`)
    })
  }

  async start(host: TransportHost): Promise<void> {
    await this.#place.open(host)
    this.#accepting = true
    const { heartbeat } = this.#settings
    if (heartbeat === 0) return
    this.#beat = setInterval(() => {
      for (const link of this.#links) link.beat()
    }, heartbeat)
    this.#beat.unref()
  }

  address(): TransportAddress | undefined {
    return this.#place.address('ws')
  }

  stopAccepting(): void {
    this.#accepting = false
    this.#place.finish()
  }

  stop(): Promise<void> {
    return this.#place.close(async () => {
      this.#accepting = false
      clearInterval(this.#beat)
      for (const socket of this.#pending) socket.destroy()
      await this.#links.terminate()
    })
  }

  /** Called by a link that is gone. */
  forget(link: WsLink): void {
    this.#links.delete(link)
  }

  #upgrade(request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    if (!this.#accepting || this.#pending.size >= this.#settings.maxPendingHandshakes) {
      if (this.#accepting) this.#place.host?.refused?.('pending')
      refuseUpgrade(socket, 503, 'No more clients are accepted now; try again later.\n')
    } else {
      this.#upgrades.handleUpgrade(request, socket, head, connected => this.#connect(connected, request))
    }
  }

  /** Decides on a well-formed upgrade, and lets `ws` proceed with it or refuses. */
  async #admit(request: IncomingMessage, proceed: (accepted: true) => void): Promise<void> {
    const { socket } = request
    this.#pending.add(socket)
    const deadline = setTimeout(() => {
      this.#pending.delete(socket)
      refuseUpgrade(socket, 408, 'The handshake took too long; try again.\n')
    }, this.#settings.handshakeTimeout)
    try {
      const offered = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim())
      const handshake = this.#admission.handshake(request, offered ?? [])
      const verdict = await this.#admission.judge(request, handshake, this.#place.host)
      // The client may have left meanwhile, or have been refused for the time it took.
      if (!socket.readable || !socket.writable) {
        socket.destroy()
      } else if (!verdict.accept) {
        refuseUpgrade(socket, verdict.status, verdict.message, verdict.headers)
      } else if (!this.#accepting) {
        refuseUpgrade(socket, 503, 'No more clients are accepted; try elsewhere.\n')
      } else {
        this.#accepted.set(request, { handshake, verdict })
        proceed(true)
      }
    } catch (error) {
      this.#place.host?.log('error', 'A WebSocket handshake failed', { error, url: request.url })
      refuseUpgrade(socket, 500, 'The server failed; its log says why.\n')
    } finally {
      clearTimeout(deadline)
      this.#pending.delete(socket)
    }
  }

  #connect(connected: LinkSocket, request: IncomingMessage): void {
    const accepted = this.#accepted.get(request)
    const link = new WsLink(connected, request.socket, this)
    this.#links.add(link)
    try {
      if (!this.#place.host || !accepted) throw new Error('The link was made without a verdict')
      link.listen(this.#place.host.connect(link, accepted.handshake, accepted.verdict))
    } catch (error) {
      this.#place.host?.log('error', 'A WebSocket link could not be taken over', { error, url: request.url })
      link.terminate()
    }
  }
}
