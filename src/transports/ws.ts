import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer, type Server as WsServer } from 'ws'
import { isThenable } from '../thenable.js'
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
import { acceptance, readOffer } from './websocket-handshake.js'
import { DeflateSocket, WsDeflateLink } from './ws-deflate-link.js'
import { WsLink, type WsLinkBounds } from './ws-link.js'
import { type WsOptions, type WsSettings, wsSettings } from './ws-options.js'

export type { TrustProxy } from './client-address.js'
export type { Origins } from './origin.js'
export type { WsOptions } from './ws-options.js'

/**
 * A transport over WebSocket (RFC 6455). Clients that compress are left to the `ws` package.
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

/** Has the client connected, once it is let in. */
type Proceed = (accepted: Accepted) => void

type AnyLink = WsLink | WsDeflateLink

class WsTransport implements Transport {
  readonly name = 'ws'
  readonly path: string
  readonly capabilities: TransportCapabilities
  /** Bounds of the links. */
  readonly bounds: WsLinkBounds
  readonly #settings: WsSettings
  readonly #admission: Admission
  /** For clients that compress, if they may. */
  readonly #deflating: WsServer<typeof DeflateSocket> | undefined
  readonly #accepted = new WeakMap<IncomingMessage, Accepted>()
  readonly #pending = new Set<Socket>()
  readonly #links = new Links<AnyLink>()
  readonly #place: HttpPlace
  #accepting = false
  #beat: NodeJS.Timeout | undefined

  constructor(settings: WsSettings) {
    this.#settings = settings
    this.path = settings.path
    this.#admission = new Admission('ws', settings)
    const {
      maxPayload,
      highWaterMark,
      maxFragments = 16_384,
      maxBufferedChunks = 262_144,
      maxPendingAutoPongs = 60,
      closeTimeout = 30_000,
    } = settings
    this.bounds = {
      maxPayload,
      maxFragments,
      maxBufferedChunks,
      maxPendingAutoPongs,
      closeTimeout,
      highWaterMark,
    }
    this.capabilities = {
      binary: true,
      heartbeat: settings.heartbeat > 0,
      maxFrame: settings.maxPayload,
      closeCodes: true,
      pause: true,
    }
    const { path } = settings
    this.#place = new HttpPlace('ws', settings, path, {
      takes: asked => asked === path,
      upgrade: (request, head) => this.#upgrade(request, head),
    })
    if (settings.perMessageDeflate) this.#deflating = this.#deflatingServer()
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
  forget(link: AnyLink): void {
    this.#links.delete(link)
  }

  #deflatingServer(): WsServer<typeof DeflateSocket> {
    const { port, host, backlog, server, path, origins, trustProxy, ...passedOn } = this.#settings
    const deflating = new WebSocketServer({
      ...passedOn,
      noServer: true,
      clientTracking: false,
      WebSocket: DeflateSocket,
      verifyClient: ({ req }, proceed) => {
        const { protocols } = readOffer(req) as { protocols: readonly string[] }
        this.#admit(req, protocols, accepted => {
          this.#accepted.set(req, accepted)
          proceed(true)
        })
      },
      handleProtocols: (_offered, request) => this.#accepted.get(request)?.verdict.protocol ?? false,
    })
    return deflating.on('headers', (headers, request) => {
      const extra = this.#accepted.get(request)?.verdict.headers ?? {}
      for (const [name, value] of Object.entries(extra)) headers.push(`${name}: ${value}`)
    })
  }

  #upgrade(request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    if (!this.#accepting || this.#pending.size >= this.#settings.maxPendingHandshakes) {
      if (this.#accepting) this.#place.host?.refused?.('pending')
      return refuseUpgrade(socket, 503, 'No more clients are accepted now; try again later.\n')
    }
    const offer = readOffer(request)
    if ('status' in offer) return refuseUpgrade(socket, offer.status, offer.message, offer.headers)
    if (this.#deflating !== undefined && request.headers['sec-websocket-extensions'] !== undefined) {
      return this.#deflating.handleUpgrade(request, socket, head, ws => {
        this.#connect(request, new WsDeflateLink(ws, socket, this), this.#accepted.get(request))
      })
    }
    this.#admit(request, offer.protocols, accepted => {
      const { protocol, headers } = accepted.verdict
      socket.write(acceptance(offer.key, protocol, headers), 'latin1')
      this.#connect(request, new WsLink(socket, head, this), accepted)
    })
  }

  /** Decides on a well-formed upgrade: at once, if the host does. */
  #admit(request: IncomingMessage, protocols: readonly string[], proceed: Proceed): void {
    try {
      const handshake = this.#admission.handshake(request, protocols)
      const verdict = this.#admission.judge(request, handshake, this.#place.host)
      if (isThenable(verdict)) void this.#wait(request, handshake, verdict, proceed)
      else this.#decided(request, handshake, verdict, proceed)
    } catch (error) {
      this.#failed(request, error)
    }
  }

  async #wait(
    request: IncomingMessage,
    handshake: Handshake,
    decision: PromiseLike<Verdict>,
    proceed: Proceed,
  ): Promise<void> {
    const { socket } = request
    this.#pending.add(socket)
    const deadline = setTimeout(() => {
      this.#pending.delete(socket)
      refuseUpgrade(socket, 408, 'The handshake took too long; try again.\n')
    }, this.#settings.handshakeTimeout)
    try {
      this.#decided(request, handshake, await decision, proceed)
    } catch (error) {
      this.#failed(request, error)
    } finally {
      clearTimeout(deadline)
      this.#pending.delete(socket)
    }
  }

  #decided(request: IncomingMessage, handshake: Handshake, verdict: Verdict, proceed: Proceed): void {
    const { socket } = request
    // The client may have left meanwhile, or have been refused for the time it took.
    if (!socket.readable || !socket.writable) {
      socket.destroy()
    } else if (!verdict.accept) {
      refuseUpgrade(socket, verdict.status, verdict.message, verdict.headers)
    } else if (!this.#accepting) {
      refuseUpgrade(socket, 503, 'No more clients are accepted; try elsewhere.\n')
    } else proceed({ handshake, verdict })
  }

  #failed(request: IncomingMessage, error: unknown): void {
    this.#place.host?.log('error', 'A WebSocket handshake failed', { error, url: request.url })
    refuseUpgrade(request.socket, 500, 'The server failed; its log says why.\n')
  }

  #connect(request: IncomingMessage, link: AnyLink, accepted: Accepted | undefined): void {
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
