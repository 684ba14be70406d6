import type { Server } from 'node:http'
import { Server as TlsServer } from 'node:tls'
import { SocketStreamError } from '../errors.js'
import { urlHost } from './http.js'
import { type Address, HttpListener, type Mount } from './http-listener.js'
import { HTTP_DEFAULTS, type HttpOptions } from './http-options.js'
import type { HttpRoute, TransportAddress, TransportHost } from './transport.js'

/** Where a transport is mounted. */
export type PlaceOptions = Pick<HttpOptions, 'port' | 'host' | 'backlog' | 'server' | 'handshakeTimeout'>

/** A transport's place on an HTTP server, taken by its `start` and left by its `stop`. */
export class HttpPlace {
  readonly #factory: string
  readonly #options: PlaceOptions
  readonly #path: string
  readonly #route: HttpRoute
  #host: TransportHost | undefined
  #mounted: { readonly listener: HttpListener; readonly mount: Mount } | undefined
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /**
   * @param factory name of the transport's function, for messages
   * @param path of the URL that clients connect to
   */
  constructor(factory: string, options: PlaceOptions, path: string, route: HttpRoute) {
    this.#factory = factory
    this.#options = options
    this.#path = path
    this.#route = route
  }

  /** Whom the transport works for; undefined before `open` and after `close`. */
  get host(): TransportHost | undefined {
    return this.#host
  }

  /**
   * Takes the place: on the server or port of the options, or else on the host's server.
   *
   * @throws SocketStreamError `INVALID_STATE` when it has been taken, `INVALID_OPTION` when there is no
   * place or its path is another's
   * @throws Error of the system when a port cannot be bound
   */
  async open(host: TransportHost): Promise<void> {
    if (this.#host) {
      throw new SocketStreamError('INVALID_STATE', `${this.#factory}: the transport has been started`)
    }
    this.#host = host
    this.#opening = this.#mount(host)
    try {
      await this.#opening
    } catch (error) {
      this.#host = undefined
      throw error
    }
  }

  /** The URL to connect to, once the server listens at a port. */
  address(scheme: 'http' | 'ws'): TransportAddress | undefined {
    const { listener } = this.#mounted ?? {}
    const bound = listener?.address()
    if (!listener || !bound) return undefined
    const secure = listener.server instanceof TlsServer ? 's' : ''
    return { url: `${scheme}${secure}://${urlHost(bound)}${this.#path}`, port: bound.port }
  }

  /** No further connections are needed: a server of the transports' own stops listening when none needs any. */
  finish(): void {
    if (this.#mounted) this.#mounted.listener.finish(this.#mounted.mount)
  }

  /**
   * Leaves the place; resolves when a server of the transports' own has closed, if this was its last.
   *
   * @param end ends all that the transport has; waited for before the server closes
   */
  close(end: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#close(end).finally(() => {
      this.#closing = undefined
    })
    return this.#closing
  }

  async #mount(host: TransportHost): Promise<void> {
    const mount = { factory: this.#factory, path: this.#path, route: this.#route, host }
    const listener = await HttpListener.mount(this.#addressFor(host.server), mount)
    this.#mounted = { listener, mount }
  }

  async #close(end: () => Promise<void>): Promise<void> {
    await this.#opening?.catch(() => undefined)
    if (!this.#mounted) return
    const { listener, mount } = this.#mounted
    listener.unmount(mount)
    await end()
    await listener.close()
    this.#mounted = this.#host = undefined
  }

  #addressFor(attached: Server | undefined): Address {
    const { port, server = port === undefined ? attached : undefined, ...options } = this.#options
    const { handshakeTimeout = HTTP_DEFAULTS.handshakeTimeout } = options
    if (server) return { server }
    if (port !== undefined) return { ...options, port, timeout: handshakeTimeout }
    throw new SocketStreamError(
      'INVALID_OPTION',
      `${this.#factory}: there is nowhere to listen; give ${this.#factory}({ port: 3001 }) or ${this.#factory}({ server: http.createServer() }), or call app.attach(server) first`,
    )
  }
}
