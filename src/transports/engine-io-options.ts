import {
  between,
  HTTP_DEFAULTS,
  HTTP_RULES,
  type HttpOptions,
  MAX_TIMER,
  settingsOf,
} from './http-options.js'
import type { OptionRule } from './option-checks.js'

/** Options of `engineio`: one of `port` and `server`, and what else is wanted. */
export interface EngineIoOptions extends HttpOptions {
  /** Path to connect to, without a query; taken with and without a slash at the end. Default `/engine.io`. */
  readonly path?: string
  /** Ways to connect. Default both; a client begins with polling and upgrades. */
  readonly transports?: readonly ('polling' | 'websocket')[]
  /**
   * Bytes in the largest request body or WebSocket message taken from a client. Default 1000000.
   * With polling, where bytes travel as base64, a frame has three quarters of that.
   */
  readonly maxHttpBufferSize?: number
  /** Milliseconds between two pings. Default 25000. */
  readonly pingInterval?: number
  /** Milliseconds to wait for the answer to a ping. Default 20000. */
  readonly pingTimeout?: number
  /** Milliseconds in which an upgrade to WebSocket must be done. Default 10000. */
  readonly upgradeTimeout?: number
  /** Takes clients of protocol 3 too, those of Socket.IO 2. Default false. */
  readonly allowEIO3?: boolean
  /** Compression over WebSocket, or its options as `ws` has them. Default false. */
  readonly perMessageDeflate?: boolean | object
  /** Compression of polling, or its options as `zlib` has them. Default: from 1 KiB on. */
  readonly httpCompression?: boolean | object
}

/** Options with the defaults filled in; those of `engine.io` itself are left as they were given. */
export type EngineIoSettings = EngineIoOptions & Required<Pick<EngineIoOptions, keyof typeof DEFAULTS>>

const DEFAULTS = {
  ...HTTP_DEFAULTS,
  path: '/engine.io',
  transports: ['polling', 'websocket'],
  maxHttpBufferSize: 1_000_000,
} satisfies EngineIoOptions

const WAYS: readonly unknown[] = DEFAULTS.transports

const flag = (name: string): OptionRule => ({
  test: value => typeof value === 'boolean',
  wants: 'true or false',
  fix: `${name}: true`,
})

const compression = (name: string): OptionRule => ({
  test: value => typeof value === 'boolean' || (typeof value === 'object' && value !== null),
  wants: 'true, false or options',
  fix: `${name}: { threshold: 1024 }`,
})

const RULES = {
  ...HTTP_RULES,
  path: { ...HTTP_RULES.path, fix: "path: '/engine.io'" },
  transports: {
    test: value => Array.isArray(value) && value.length > 0 && value.every(way => WAYS.includes(way)),
    wants: "'polling', 'websocket' or both in an array",
    fix: "transports: ['polling', 'websocket']",
  },
  maxHttpBufferSize: between(5, Number.MAX_SAFE_INTEGER, 'a number of bytes', 'maxHttpBufferSize: 1_000_000'),
  pingInterval: between(1, MAX_TIMER, 'milliseconds', 'pingInterval: 25_000'),
  pingTimeout: between(1, MAX_TIMER, 'milliseconds', 'pingTimeout: 20_000'),
  upgradeTimeout: between(1, MAX_TIMER, 'milliseconds', 'upgradeTimeout: 10_000'),
  allowEIO3: flag('allowEIO3'),
  perMessageDeflate: compression('perMessageDeflate'),
  httpCompression: compression('httpCompression'),
} satisfies Record<keyof EngineIoOptions, OptionRule>

/**
 * Checks options and fills in the defaults.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function engineIoSettings(options: EngineIoOptions): EngineIoSettings {
  return settingsOf('engineio', options, RULES, DEFAULTS)
}

/** Bytes in the largest frame that fits a client's request, or its message where there is no polling. */
export function largestFrame({ transports, maxHttpBufferSize }: EngineIoSettings): number {
  // Besides the frame there is a character for its kind; polling sends bytes as base64.
  const room = maxHttpBufferSize - 1
  return transports.includes('polling') ? Math.floor(room / 4) * 3 : room
}
