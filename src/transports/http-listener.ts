import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { SocketStreamError } from '../errors.js'
import { boundedServer, listen, refuseUpgrade } from './http.js'
import { answerAsRequest, intercept, wantsWebSocket } from './request-intercept.js'
import type { HttpRoute, TransportHost } from './transport.js'

/** One transport's route on a listener. */
export interface Mount {
  /** Name of the transport's function, for messages. */
  readonly factory: string
  readonly path: string
  readonly route: HttpRoute
  readonly host: TransportHost
}

/** Where to mount: a server of one's own on a port, or one that is given. */
export type Address =
  | { readonly server: Server }
  | { readonly port: number; readonly host?: string; readonly backlog?: number; readonly timeout: number }

/** The listeners on servers that were given. */
const onGiven = new WeakMap<Server, HttpListener>()
/** Those on ports of their own, by `host:port`. */
const onPorts = new Map<string, HttpListener>()
/** Those on free ports, of which every host has its own. */
const onFreePorts = new WeakMap<TransportHost, HttpListener>()

/**
 * An HTTP server with what is mounted on it: transports, and what their hosts serve besides.
 *
 * Transports that are given the same server, or the same port in one process, share one listener. A
 * server that was given keeps the requests and upgrades that no route takes; one of ours answers 404,
 * or 426 where only upgrades are taken. One of ours closes with the last of its mounts.
 */
export class HttpListener {
  readonly server: Server
  readonly #own: boolean
  /** Resolves once a server of ours listens. */
  readonly #listening: Promise<void>
  readonly #forget: () => void
  readonly #release: () => void
  readonly #mounts = new Set<Mount>()
  /** Mounts that need no further connections. */
  readonly #finished = new Set<Mount>()

  private constructor(address: Address, forget: (self: HttpListener) => void) {
    this.#forget = () => forget(this)
    this.#own = !('server' in address)
    this.server = 'server' in address ? address.server : boundedServer(address.timeout)
    this.#release = intercept(this.server, {
      request: (request, response, passOn) => this.#request(request, response, passOn),
      upgrade: (request, head, passOn) => this.#upgrade(request, head, passOn),
      unwanted: ({ socket }) => {
        // A socket without an error listener would end the process when its peer resets it.
        socket.on('error', destroy)
        refuseUpgrade(socket, 404, 'Not Found\n')
      },
    })
    this.#listening = 'server' in address ? Promise.resolve() : this.#listen(address)
  }

  /**
   * Mounts a transport; resolves when clients can connect, or will once a given server listens.
   *
   * @throws SocketStreamError `INVALID_OPTION` when the path is taken on a server that was given
   * @throws Error of the system when the port cannot be bound
   */
  static async mount(address: Address, mount: Mount): Promise<HttpListener> {
    const listener = HttpListener.#at(address, mount)
    listener.#mounts.add(mount)
    try {
      await listener.#listening
    } catch (error) {
      listener.#mounts.delete(mount)
      listener.#forget()
      throw error
    }
    return listener
  }

  /** The listener to be joined, or a new one. */
  static #at(address: Address, mount: Mount): HttpListener {
    if ('server' in address) {
      const { server } = address
      const present = onGiven.get(server)
      const rival = present?.rivalOf(mount)
      if (rival) throw samePath(mount, rival, 'server')
      if (present) return present
      const made = new HttpListener(address, () => onGiven.delete(server))
      onGiven.set(server, made)
      return made
    }
    const { port, host = '' } = address
    const key = `${host}:${port}`
    const present = port === 0 ? onFreePorts.get(mount.host) : onPorts.get(key)
    const rival = present?.rivalOf(mount)
    if (present && !rival) return present
    if (rival && rival.host === mount.host && port !== 0) throw samePath(mount, rival, 'port')
    // Two servers that want one path of one port: the second fails to bind, as if in another process.
    if (rival) return new HttpListener(address, () => undefined)
    const made = new HttpListener(address, self => {
      if (onFreePorts.get(mount.host) === self) onFreePorts.delete(mount.host)
      if (onPorts.get(key) === self) onPorts.delete(key)
    })
    if (port === 0) onFreePorts.set(mount.host, made)
    else onPorts.set(key, made)
    return made
  }

  /** A mount that the same requests would go to. */
  rivalOf({ path, route }: Pick<Mount, 'path' | 'route'>): Mount | undefined {
    return [...this.#mounts].find(mount => mount.route.takes(path) || route.takes(mount.path))
  }

  /** Where the server is bound, once it listens at a port. */
  address(): AddressInfo | undefined {
    const bound = this.server.address()
    return bound === null || typeof bound === 'string' ? undefined : bound
  }

  /** This mount needs no further connections; a server of ours stops listening when none does. */
  finish(mount: Mount): void {
    this.#finished.add(mount)
    this.#closeIfFinished()
  }

  /** Takes a mount's route away; its requests are nobody's from now on. */
  unmount(mount: Mount): void {
    this.#mounts.delete(mount)
    this.#finished.delete(mount)
    if (this.#mounts.size > 0) return this.#closeIfFinished()
    this.#forget()
    this.#release()
  }

  /** Resolves when a server of ours that nothing is mounted on has closed. */
  async close(): Promise<void> {
    const { server } = this
    if (!this.#own || this.#mounts.size > 0) return
    const closed = new Promise(resolve => server.once('close', resolve))
    // Emitted already, if the last connection of a server that had stopped listening is gone.
    if (server.listening) server.close()
    else if ((await connections(server)) === 0) return
    server.closeAllConnections()
    await closed
  }

  #closeIfFinished(): void {
    const needed = [...this.#mounts].some(mount => !this.#finished.has(mount))
    if (needed || !this.#own) return
    // Who wants this port from now on must not be put on a server that no longer listens.
    this.#forget()
    if (this.server.listening) this.server.close()
  }

  async #listen(address: Exclude<Address, { server: Server }>): Promise<void> {
    const { port, host, backlog } = address
    await listen(this.server, {
      port,
      ...(host !== undefined && { host }),
      ...(backlog !== undefined && { backlog }),
    })
    this.server.on('error', error => {
      for (const mount of this.#mounts) {
        mount.host.log('error', `The HTTP server of ${mount.factory} failed`, { error })
      }
    })
  }

  #request(request: IncomingMessage, response: ServerResponse, passOn: () => boolean): void {
    const path = pathOf(request)
    const route = this.#find(path, 'request')
    if (route?.request) {
      request.url = originForm(request)
      route.request(request, response)
    } else if (!passOn()) answerNobody(response, this.#find(path, 'upgrade') !== undefined)
  }

  #upgrade(request: IncomingMessage, head: Buffer, passOn: () => void): void {
    const route = this.#find(pathOf(request), 'upgrade')
    if (!route?.upgrade) return passOn()
    if (route.request && !wantsWebSocket(request) && answerAsRequest(this.server, request)) return
    request.socket.on('error', destroy)
    // The Upgrade header of such a request has to be ignored (RFC 9110, 7.8), and then it has no sense.
    if (request.httpVersion === '1.0') return refuseUpgrade(request.socket, 400, 'This needs HTTP/1.1.\n')
    request.url = originForm(request)
    route.upgrade(request, head)
  }

  #find(path: string, event: 'request' | 'upgrade'): HttpRoute | undefined {
    for (const { route } of this.#mounts) if (route[event] && route.takes(path)) return route
    for (const { host } of this.#mounts) {
      const route = host.routes?.find(candidate => candidate[event] && candidate.takes(path))
      if (route) return route
    }
    return undefined
  }
}

/** The target of a request as servers see it; proxies get it with scheme and host (RFC 9112, 3.2.2). */
function originForm({ url = '/' }: IncomingMessage): string {
  const past = url.replace(/^https?:\/\/[^/?#]*/i, '')
  return past.startsWith('/') || past === url ? past : `/${past}`
}

function pathOf(request: IncomingMessage): string {
  return originForm(request).replace(/\?.*/s, '')
}

function samePath({ factory }: Mount, rival: Mount, place: string): SocketStreamError {
  const message = `${factory}: ${rival.factory} has the path ${rival.path} of this ${place}; give another \`path\``
  return new SocketStreamError('INVALID_OPTION', message)
}

function answerNobody(response: ServerResponse, upgrades: boolean): void {
  const type = 'text/plain; charset=utf-8'
  if (upgrades) {
    response.writeHead(426, { 'Content-Type': type, Connection: 'Upgrade, close', Upgrade: 'websocket' })
    response.end('Upgrade Required: connect here with a WebSocket client.\n')
  } else {
    response.writeHead(404, { 'Content-Type': type, Connection: 'close' }).end('Not Found\n')
  }
}

/** Not a closure, which would keep the request in memory as long as the socket. */
function destroy(this: Socket): void {
  this.destroy()
}

function connections(server: Server): Promise<number> {
  return new Promise(resolve => server.getConnections((_error, count) => resolve(count ?? 0)))
}
