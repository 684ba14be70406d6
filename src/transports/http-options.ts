import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { Server as NetServer } from 'node:net'
import { SocketStreamError } from '../errors.js'
import type { TrustProxy } from './client-address.js'
import { checkOptions, type OptionRule } from './option-checks.js'
import type { Origins } from './origin.js'

/** The options that transports over HTTP have in common: where they listen, and whom they admit. */
export interface HttpOptions {
  /** TCP port for an HTTP server of the transports given the same one; 0 takes a free one. */
  readonly port?: number
  /** Address to bind, with `port`. Default: every address. */
  readonly host?: string
  /** Connections the system may queue before they are accepted, with `port`. Default 511. */
  readonly backlog?: number
  /** An HTTP server to share; the caller listens with it and closes it. Default that of `app.attach()`. */
  readonly server?: HttpServer | HttpsServer
  /** Pages that may connect. Default: those from the host they connect to. */
  readonly origins?: Origins
  /** Proxies to believe about a client's address, as in Express. Default false. */
  readonly trustProxy?: TrustProxy
  /** Milliseconds in which a client must have been accepted. Default 10000. */
  readonly handshakeTimeout?: number
  /** Clients that may wait to be accepted at once; more get a 503. Default 10000. */
  readonly maxPendingHandshakes?: number
  /**
   * Bytes waiting for a client at which `send` returns false. Default 256 KiB: some thousand small
   * messages in one tick, yet no more than 256 MiB held for a thousand clients that do not read.
   */
  readonly highWaterMark?: number
}

/** Defaults of the common options. */
export const HTTP_DEFAULTS = {
  trustProxy: false,
  handshakeTimeout: 10_000,
  maxPendingHandshakes: 10_000,
  highWaterMark: 256 * 1024,
} satisfies HttpOptions

/** Milliseconds in the longest timer of Node. */
export const MAX_TIMER = 2 ** 31 - 1

/** The rule for an integer within a range. */
export function between(min: number, max: number, wants: string, fix: string): OptionRule {
  const range = max < Number.MAX_SAFE_INTEGER ? `from ${min} to ${max}` : `from ${min}`
  const test = (value: unknown) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max
  return { test, wants: `${wants} ${range}`, fix }
}

const anything = (): boolean => true

/** What the common options, and a path to connect to, must be. */
export const HTTP_RULES = {
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
  handshakeTimeout: between(1, MAX_TIMER, 'milliseconds', 'handshakeTimeout: 10_000'),
  maxPendingHandshakes: between(1, Number.MAX_SAFE_INTEGER, 'a number', 'maxPendingHandshakes: 10_000'),
  highWaterMark: between(1, Number.MAX_SAFE_INTEGER, 'a number of bytes', 'highWaterMark: 256 * 1024'),
} satisfies Record<keyof HttpOptions | 'path', OptionRule>

/**
 * Refuses options that say twice where to listen; without any, it is for `app.attach()` to say.
 *
 * @param factory name of the function whose options these are, for the message
 * @throws SocketStreamError `INVALID_OPTION`
 */
function checkPlace(factory: string, { port, server, host, backlog }: HttpOptions): void {
  if (port !== undefined && server !== undefined) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      `${factory}: both \`port\` and \`server\` are given; give one, as in ${factory}({ port: 3001 }) or ${factory}({ server: http.createServer(app) })`,
    )
  }
  if (port === undefined && (host !== undefined || backlog !== undefined)) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      `${factory}: \`host\` and \`backlog\` go with \`port\`; with a server of yours, give them to server.listen()`,
    )
  }
}

/**
 * Checks the options of a transport and fills in its defaults; `undefined` counts as not given.
 *
 * @param factory name of the function whose options these are, for messages
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function settingsOf<Options extends HttpOptions, Defaults extends Partial<Options>>(
  factory: string,
  options: Options,
  rules: Readonly<Record<keyof Options, OptionRule>>,
  defaults: Defaults,
): Options & Defaults {
  checkOptions(factory, options, rules)
  checkPlace(factory, options)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...defaults, ...(Object.fromEntries(given) as Options) }
}
