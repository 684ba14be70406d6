import type { EventEmitter } from 'node:events'
import type { Frame } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { Summary } from '../log.js'
import { ClassicLink } from './classic-link.js'
import type { Transport, TransportCapabilities, TransportHost } from './transport.js'

/** A Realtime Transport module of SocketStream 0.4, such as `require('rtt-ws')()`. */
export interface ClassicTransportModule {
  readonly options?: unknown
  /**
   * Called at `start()` with the server, whose `process()` it calls for every message, and on whose `events`
   * it emits `client:connect` and `client:disconnect` with a socket id.
   */
  server(app: never): ClassicSender
  /** For clients of 0.4; not used here. */
  readonly client?: unknown
  readonly browserAssets?: readonly unknown[]
}

/** What such a module gives the server. */
export interface ClassicSender {
  sendToSocketId(socketId: string, message: string): unknown
  /** Not used: what goes to all goes to each, in order with what else it is sent. */
  broadcast?(message: string): unknown
  /** Called at `stop()`; 0.4 had no such thing, and its modules end with the process. */
  close?(): unknown
}

/** A message as such a module hands it over. */
export interface ClassicMessage {
  readonly message: string
  readonly socketId: string
  /** Name of the transport. Default `unknown`. */
  readonly transport?: string
  /** Default `unknown`. */
  readonly clientIp?: string
}

/** The server, as far as this transport needs it. */
export interface ClassicApp {
  readonly events: EventEmitter
}

/** Whether a transport is given in the form of 0.4. */
export function isClassicTransport(given: unknown): given is ClassicTransportModule {
  const { server, start } = (given ?? {}) as { server?: unknown; start?: unknown }
  return typeof server === 'function' && start === undefined
}

/**
 * Makes a transport of a module of 0.4.
 *
 * A socket becomes a connection of the same id with its first message. It cannot be closed from here: when
 * its connection is, its next message begins another.
 */
export class ClassicTransport implements Transport {
  readonly name = 'classic'
  readonly capabilities: TransportCapabilities = {
    binary: false,
    heartbeat: false,
    maxFrame: Number.POSITIVE_INFINITY,
    closeCodes: false,
    pause: false,
  }
  readonly module: ClassicTransportModule
  /** The server; set by it before it starts. */
  app: ClassicApp | undefined
  readonly #links = new Map<string, ClassicLink>()
  /** Sockets whose coming the module has told everybody itself. */
  readonly #announced = new Set<string>()
  readonly #refusals = new Summary()
  #sender: ClassicSender | undefined
  #host: TransportHost | undefined
  #accepting = false

  constructor(module: ClassicTransportModule) {
    this.module = module
  }

  async start(host: TransportHost): Promise<void> {
    if (this.#host !== undefined || this.app === undefined) {
      throw new SocketStreamError(
        'INVALID_STATE',
        'classic: the transport has been started, or has no server',
      )
    }
    this.#host = host
    this.#accepting = true
    this.app.events.on('client:connect', this.#connected)
    this.app.events.on('client:disconnect', this.#disconnected)
    try {
      this.#sender = this.module.server(this.app as never)
      if (typeof this.#sender?.sendToSocketId !== 'function') {
        throw new SocketStreamError(
          'INVALID_OPTION',
          '`server(app)` of `transport` must return { sendToSocketId, broadcast }',
        )
      }
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  address(): undefined {
    return undefined
  }

  /** Takes a message of a socket. Never throws: what is none is logged. */
  process(request: ClassicMessage): void {
    const host = this.#host
    if (host === undefined) return
    const { message, socketId } = request ?? {}
    if (typeof socketId !== 'string' || !isFrame(message)) {
      host.log('warn', 'process() takes { message, transport, socketId, clientIp }; this was left out', {
        socketId,
        message: typeof message,
      })
      return
    }
    const link = this.#links.get(socketId) ?? this.#open(host, request)
    link?.receive(message)
  }

  stopAccepting(): void {
    this.#accepting = false
  }

  async stop(): Promise<void> {
    this.stopAccepting()
    this.app?.events.off('client:connect', this.#connected)
    this.app?.events.off('client:disconnect', this.#disconnected)
    for (const link of [...this.#links.values()]) link.gone(1006, '')
    this.#refusals.flush()
    const sender = this.#sender
    this.#announced.clear()
    this.#sender = undefined
    this.#host = undefined
    await sender?.close?.()
  }

  #open(host: TransportHost, { socketId, transport = 'unknown', clientIp = 'unknown' }: ClassicMessage) {
    if (!this.#accepting) return undefined
    const link = new ClassicLink({
      host,
      socketId,
      transport: String(transport),
      clientIp: String(clientIp),
      announced: this.#announced.has(socketId),
      refusals: this.#refusals,
      send: frame => this.#sender?.sendToSocketId(socketId, frame),
      forget: () => this.#links.delete(socketId),
    })
    this.#links.set(socketId, link)
    link.open()
    return link
  }

  readonly #connected = (socketId: string): void => {
    // The server tells of connections in the same way, of those of this transport once they are open.
    if (!this.#links.has(socketId) && !this.#host?.knows?.(socketId)) this.#announced.add(socketId)
  }

  readonly #disconnected = (socketId: string): void => {
    this.#announced.delete(socketId)
    this.#links.get(socketId)?.gone(1001, 'the socket has gone')
  }
}

function isFrame(message: unknown): message is Frame {
  return typeof message === 'string' || message instanceof Uint8Array
}
