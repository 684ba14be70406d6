import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { WebSocketServer, type Server as WsServer } from 'ws'
import { SocketStreamError } from '../errors.js'
import { Admission } from './admission.js'
import { createUpgradeServer, listen, refuseUpgrade, requestPath, urlHost } from './http.js'
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
 * With `port` it has an HTTP server of its own. With `server` it adds an `upgrade` listener to that
 * one and leaves other paths to other listeners; `start` does not wait for that server to listen.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport: ws({ port: 3001, origins: ['https://example.com'] }) })
 */
export function ws(options: WsOptions): Transport {
  return new WsTransport(wsSettings(options))
}

interface Accepted {
  readonly handshake: Handshake
  readonly verdict: Verdict & { accept: true }
}

class WsTransport implements Transport {
  readonly name = 'ws'
  readonly capabilities: TransportCapabilities
  readonly highWaterMark: number
  readonly #settings: WsSettings
  readonly #admission: Admission
  readonly #upgrades: WsServer<typeof LinkSocket>
  readonly #pending = new Set<Socket>()
  readonly #accepted = new WeakMap<IncomingMessage, Accepted>()
  readonly #links = new Links<WsLink>()
  #host: TransportHost | undefined
  #server: Server | undefined
  /** Resolves once the transport's own server has closed. */
  #closed: Promise<unknown> | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #accepting = false
  #beat: NodeJS.Timeout | undefined

  constructor(settings: WsSettings) {
    this.#settings = settings
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
    if (this.#host) throw new SocketStreamError('INVALID_STATE', 'ws: the transport has been started')
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
    const scheme = this.#server instanceof TlsServer ? 'wss' : 'ws'
    return { url: `${scheme}://${urlHost(bound)}${this.#settings.path}`, port: bound.port }
  }

  stopAccepting(): void {
    this.#accepting = false
    if (!this.#settings.server && this.#server?.listening) this.#server.close()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#close().finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  /** Called by a link that is gone. */
  forget(link: WsLink): void {
    this.#links.delete(link)
  }

  async #open(host: TransportHost): Promise<void> {
    const { server: given, path, handshakeTimeout, heartbeat } = this.#settings
    if (given) {
      this.#server = given
    } else {
      const own = createUpgradeServer(path, handshakeTimeout)
      await listen(own, { port: 0, ...this.#settings })
      own.on('error', error => host.log('error', 'The HTTP server of ws failed', { error }))
      this.#server = own
      this.#closed = new Promise(resolve => own.once('close', resolve))
    }
    this.#server.on('upgrade', this.#upgrade)
    this.#accepting = true
    if (heartbeat > 0) {
      this.#beat = setInterval(() => {
        for (const link of this.#links) link.beat()
      }, heartbeat)
      this.#beat.unref()
    }
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined)
    const server = this.#server
    if (!server) return
    this.stopAccepting()
    clearInterval(this.#beat)
    server.off('upgrade', this.#upgrade)
    for (const socket of this.#pending) socket.destroy()
    await this.#links.terminate()
    if (!this.#settings.server) server.closeAllConnections()
    await this.#closed
    this.#server = this.#host = undefined
  }

  readonly #upgrade = (request: IncomingMessage, _stream: unknown, head: Buffer): void => {
    const { server, path, maxPendingHandshakes } = this.#settings
    const { socket } = request
    const ours = requestPath(request) === path
    if (!ours && server && server.listenerCount('upgrade') > 1) return
    // A socket without an error listener would end the process when its peer resets it.
    socket.on('error', destroy)
    if (!ours) {
      refuseUpgrade(socket, 404, 'Not Found\n')
    } else if (!this.#accepting || this.#pending.size >= maxPendingHandshakes) {
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
      const verdict = await this.#admission.judge(request, handshake, this.#host)
      // The client may have left meanwhile, or have been refused for the time it took.
      if (!socket.readable || !socket.writable) {
        socket.destroy()
      } else if (!verdict.accept) {
        refuseUpgrade(socket, verdict.status, verdict.message)
      } else if (!this.#accepting) {
        refuseUpgrade(socket, 503, 'No more clients are accepted; try elsewhere.\n')
      } else {
        this.#accepted.set(request, { handshake, verdict })
        proceed(true)
      }
    } catch (error) {
      this.#host?.log('error', 'A WebSocket handshake failed', { error, url: request.url })
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
      if (!this.#host || !accepted) throw new Error('The link was made without a verdict')
      link.listen(this.#host.connect(link, accepted.handshake, accepted.verdict))
    } catch (error) {
      this.#host?.log('error', 'A WebSocket link could not be taken over', { error, url: request.url })
      link.terminate()
    }
  }
}

/** Not a closure, which would keep the request in memory as long as the socket. */
function destroy(this: Socket): void {
  this.destroy()
}
