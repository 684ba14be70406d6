import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Frame } from '../codec/codec.js'

/**
 * A transport: moves frames between clients and the server and understands none of them.
 *
 * - `start` MUST resolve only when clients can connect, or will once a server that was given
 *   listens. When they cannot it MUST reject with the cause and leave nothing bound; `start` may then
 *   be called again, as after `stop`.
 * - For every client the transport MUST ask `host.authorize` before it accepts, MUST then call
 *   `host.connect` once, and MUST call the returned handler's `closed` exactly once, whoever closes.
 * - A client that leaves while it is decided on MUST NOT be connected.
 * - Frames of one link MUST arrive in the order sent, whole, and MUST NOT arrive after `closed`, nor
 *   after `close` or `terminate` was called on the link. Frames sent before `close` MUST be delivered.
 * - Handlers MUST NOT be called from within a method of their link.
 * - Frame buffers MUST NOT be written to again after they were handed over, in either direction.
 * - A transport MUST NOT close an HTTP server that it was given.
 */
export interface Transport {
  /** Short name, such as `ws`; shown in `request.transport`. */
  readonly name: string
  readonly capabilities: TransportCapabilities
  /** Path of the URL that clients connect to, for transports over HTTP. */
  readonly path?: string
  /** Begins to accept clients. */
  start(host: TransportHost): Promise<void>
  /** Where clients can connect, once started. */
  address(): TransportAddress | undefined
  /** Accepts no more clients; existing links stay until closed. Idempotent. */
  stopAccepting(): void
  /** Terminates every link and releases everything it opened. Idempotent. */
  stop(): Promise<void>
}

/** What a transport can do; the conformance suite skips the rest and says why. */
export interface TransportCapabilities {
  /** Carries bytes; otherwise only text codecs are offered. */
  readonly binary: boolean
  /** Notices a dead peer by itself; otherwise the protocol's ping does. */
  readonly heartbeat: boolean
  /** Bytes in the largest frame it takes; `Infinity` when it has no bound of its own. */
  readonly maxFrame: number
  /** Tells the peer the close code and reason. */
  readonly closeCodes: boolean
  /** Can stop reading from a client. */
  readonly pause: boolean
  /** Later requests of a client must reach the same process. Default false. */
  readonly sticky?: boolean
}

/** Where a transport listens. */
export interface TransportAddress {
  readonly url: string
  readonly port?: number
}

/** What is known of a client before it is accepted. */
export interface Handshake {
  readonly transport: string
  /** Path and query of the request; `/` where there is none. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** Address of the client, by the transport's rules for proxies. */
  readonly clientIp: string
  readonly secure: boolean
  /**
   * Whether a cookie may say who the client is: its page may have it, or it is no browser. Otherwise
   * `headers` has no cookie.
   */
  readonly cookies: boolean
  /** Subprotocols the client offered, in its order. */
  readonly protocols: readonly string[]
  /** A socket of a transport module of 0.4: it has its id already, and perhaps told everybody of it. */
  readonly socket?: { readonly id: string; readonly announced: boolean }
}

/**
 * The answer to a handshake.
 *
 * `connect` does not follow on every acceptance, as the client may have left: a grant MUST NOT hold
 * anything that has to be released.
 */
export type Verdict =
  | {
      readonly accept: true
      /** The subprotocol to answer with; one of those offered. */
      readonly protocol?: string | undefined
      /** Response headers, such as `Set-Cookie`. */
      readonly headers?: Readonly<Record<string, string>>
      /** Handed on to `connect`. */
      readonly grant?: unknown
    }
  | {
      readonly accept: false
      readonly status: number
      readonly message: string
      /** Response headers, such as `Retry-After`. */
      readonly headers?: Readonly<Record<string, string>>
    }

/** What takes some of an HTTP server's requests and upgrades. */
export interface HttpRoute {
  /** Whether a path is its own. */
  takes(path: string): boolean
  request?(request: IncomingMessage, response: ServerResponse): void
  /** @param head what came after the request's headers */
  upgrade?(request: IncomingMessage, head: Buffer): void
}

/** The same transport on the other servers of a cluster. */
export interface TransportPeers {
  /** The id of this server: 12 characters that need no escapes in URLs. */
  readonly id: string
  /**
   * Answers what is asked of a name, until the function given back is called.
   *
   * @param taker gives undefined when the question is not for it: then others of the same name are asked
   */
  answer(name: string, taker: (question: unknown) => Promise<unknown> | undefined): () => void
  /**
   * Asks a server; resolves to null when nothing there takes the question.
   *
   * Rejects with `NO_RESPONDER` when it is not there; `FRAME_TOO_BIG`; with others nobody knows whether it was done.
   */
  ask(node: string, name: string, question: unknown, deadline: number): Promise<unknown>
}

/** The server, as a transport sees it. */
export interface TransportHost {
  /** The other servers, if it is one of a cluster. */
  readonly peers?: TransportPeers | undefined
  /** The HTTP server of transports that were given neither a port nor a server. */
  readonly server?: Server | undefined
  /** What else is served on the HTTP servers of its transports, where no transport takes the path. */
  readonly routes?: readonly HttpRoute[]
  /** Decides on a client before its upgrade. MUST NOT reject: a failure is a verdict. */
  authorize(handshake: Handshake): Verdict | Promise<Verdict>
  /** Takes over an accepted link. */
  connect(link: Link, handshake: Handshake, verdict: Verdict & { accept: true }): LinkHandler
  /** Whether a connection of this id is open. */
  knows?(connectionId: string): boolean
  /** Counts a client that the transport refuses by itself. */
  refused?(why: 'origin' | 'pending'): void
  /** For what concerns no single connection. */
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: object): void
}

/** What the host does with a link's events. These MUST NOT throw. */
export interface LinkHandler {
  /** A frame arrived. The buffer belongs to the handler. */
  frame(frame: Frame): void
  /** The link was full and is no longer: what was sent has left for the network. */
  drained(): void
  /**
   * The link is gone. Called exactly once, with the code and reason of whichever end closed first:
   * 1005 when that gave no code, 1006 when the link broke or was terminated.
   */
  closed(code: number, reason: string): void
}

/**
 * One client on a transport.
 *
 * `send` collects; what a tick sends to a link leaves in one write. After the link is closed every
 * method is a no-op.
 */
export interface Link {
  /**
   * Queues a frame, also when the link is full. Returns false when it is: stop until `drained`; and
   * when it is closed.
   */
  send(frame: Frame): boolean
  /** Bytes queued here or in the socket and not yet given to the network. */
  readonly bufferedBytes: number
  /** Bytes received and written so far, where the link knows. */
  readonly traffic?: { readonly received: number; readonly written: number }
  /** Stops reading; frames already received may still be delivered. */
  pause(): void
  resume(): void
  /**
   * Sends what is queued, then closes with this code and reason, cut to 123 bytes of UTF-8.
   *
   * @throws SocketStreamError `INVALID_OPTION` for a code that must not be sent, such as 1006
   */
  close(code: number, reason: string): void
  /** Drops the link at once. */
  terminate(): void
}
