import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { Server as NetServer } from 'node:net'
import { SocketStreamError } from '../errors.js'
import type { TrustProxy } from './client-address.js'
import { checkOptions, type OptionRule } from './option-checks.js'
import type { Origins } from './origin.js'

/** Options of `ws`: one of `port` and `server`, and what else is wanted. */
export interface WsOptions {
  /** TCP port for an HTTP server of its own; 0 takes a free one. */
  readonly port?: number
  /** Address to bind, with `port`. Default: every address. */
  readonly host?: string
  /** Connections the system may queue before they are accepted, with `port`. Default 511. */
  readonly backlog?: number
  /** An HTTP server to share; the caller listens with it and closes it. */
  readonly server?: HttpServer | HttpsServer
  /** Path to connect to, without a query. Default `/`. */
  readonly path?: string
  /** Pages that may connect. Default: those from the host they connect to. */
  readonly origins?: Origins
  /** Proxies to believe about a client's address, as in Express. Default false. */
  readonly trustProxy?: TrustProxy
  /** Bytes in the largest message taken from a client. Default 1 MiB. */
  readonly maxPayload?: number
  /** Milliseconds in which a client must have been accepted. Default 10000. */
  readonly handshakeTimeout?: number
  /** Clients that may wait to be accepted at once; more get a 503. Default 10000. */
  readonly maxPendingHandshakes?: number
  /** Milliseconds between two looks for dead peers, 0 for none. Default 30000. */
  readonly heartbeat?: number
  /**
   * Bytes waiting for a client at which `send` returns false. Default 256 KiB: some thousand small
   * messages in one tick, yet no more than 256 MiB held for a thousand clients that do not read.
   */
  readonly highWaterMark?: number
  /** Compression, or its options as `ws` has them. Default false: it costs much CPU and memory. */
  readonly perMessageDeflate?: boolean | object
  /** Milliseconds to wait for the peer's answer to a close frame. Default 30000. */
  readonly closeTimeout?: number
  /** Fragments in one message, 0 for any number. Default 16384. */
  readonly maxFragments?: number
  /** Chunks that one message may be received in, 0 for any number. Default 262144. */
  readonly maxBufferedChunks?: number
  /** Pongs that may wait for a client before it is dropped, 0 for any number. Default 60. */
  readonly maxPendingAutoPongs?: number
}

/** Options with the defaults filled in; those of `ws` itself are left as they were given. */
export type WsSettings = WsOptions & Required<Pick<WsOptions, keyof typeof DEFAULTS>>

const DEFAULTS = {
  path: '/',
  trustProxy: false,
  maxPayload: 1024 * 1024,
  handshakeTimeout: 10_000,
  maxPendingHandshakes: 10_000,
  heartbeat: 30_000,
  highWaterMark: 256 * 1024,
} satisfies WsOptions

const MAX_TIMER = 2 ** 31 - 1

function between(min: number, max: number, wants: string, fix: string): OptionRule {
  const range = max < Number.MAX_SAFE_INTEGER ? `from ${min} to ${max}` : `from ${min}`
  const test = (value: unknown) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max
  return { test, wants: `${wants} ${range}`, fix }
}

const count = (name: string, value: number): OptionRule =>
  between(0, Number.MAX_SAFE_INTEGER, 'a number', `${name}: ${value}`)

const anything = (): boolean => true

const RULES = {
  port: between(0, 65535, 'a number', 'port: 3001'),
  host: {
    test: value => typeof value === 'string' && value !== '',
    wants: 'an address or host name',
    fix: "port: 3001, host: '127.0.0.1'",
  },
  backlog: between(1, 65535, 'a number', 'port: 3001, backlog: 511'),
  server: {
    test: value => value instanceof NetServer,
    wants: 'the server itself, not an Express app',
    fix: 'server: http.createServer(app)',
  },
  path: {
    test: value => typeof value === 'string' && /^\/[^?#\s]*$/.test(value),
    wants: "a path that begins with '/'",
    fix: "path: '/realtime'",
  },
  // These two are checked where they are compiled.
  origins: { test: anything, wants: '', fix: '' },
  trustProxy: { test: anything, wants: '', fix: '' },
  maxPayload: between(1, Number.MAX_SAFE_INTEGER, 'a number of bytes', 'maxPayload: 1024 * 1024'),
  handshakeTimeout: between(1, MAX_TIMER, 'milliseconds', 'handshakeTimeout: 10_000'),
  maxPendingHandshakes: between(1, Number.MAX_SAFE_INTEGER, 'a number', 'maxPendingHandshakes: 10_000'),
  heartbeat: between(0, MAX_TIMER, 'milliseconds', 'heartbeat: 30_000'),
  highWaterMark: between(1, Number.MAX_SAFE_INTEGER, 'a number of bytes', 'highWaterMark: 256 * 1024'),
  perMessageDeflate: {
    test: value => typeof value === 'boolean' || (typeof value === 'object' && value !== null),
    wants: 'true, false or the options of ws',
    fix: 'perMessageDeflate: { threshold: 1024 }',
  },
  closeTimeout: between(1, MAX_TIMER, 'milliseconds', 'closeTimeout: 30_000'),
  maxFragments: count('maxFragments', 16_384),
  maxBufferedChunks: count('maxBufferedChunks', 262_144),
  maxPendingAutoPongs: count('maxPendingAutoPongs', 60),
} satisfies Record<keyof WsOptions, OptionRule>

/**
 * Checks options and fills in the defaults.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function wsSettings(options: WsOptions): WsSettings {
  checkOptions('ws', options, RULES)
  const { port, server, host, backlog } = options
  if ((port === undefined) === (server === undefined)) {
    const have =
      port === undefined ? 'neither `port` nor `server` is given' : 'both `port` and `server` are given'
    throw new SocketStreamError(
      'INVALID_OPTION',
      `ws: ${have}; give one, as in ws({ port: 3001 }) or ws({ server: http.createServer(app) })`,
    )
  }
  if (server && (host !== undefined || backlog !== undefined)) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      'ws: `host` and `backlog` go with `port`; with `server`, give them to server.listen()',
    )
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...DEFAULTS, ...(Object.fromEntries(given) as WsOptions) }
}
