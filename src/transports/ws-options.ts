import {
  between,
  HTTP_DEFAULTS,
  HTTP_RULES,
  type HttpOptions,
  MAX_TIMER,
  settingsOf,
} from './http-options.js'
import type { OptionRule } from './option-checks.js'

/** Options of `ws`: one of `port` and `server`, and what else is wanted. */
export interface WsOptions extends HttpOptions {
  /** Path to connect to, without a query. Default `/`. */
  readonly path?: string
  /** Bytes in the largest message taken from a client. Default 1 MiB. */
  readonly maxPayload?: number
  /** Milliseconds between two looks for dead peers, 0 for none. Default 30000. */
  readonly heartbeat?: number
  /**
   * Compression, or its options as `ws` has them. Default false: it costs much CPU and memory. No more than
   * `maxPayload` is inflated of a message.
   */
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
  ...HTTP_DEFAULTS,
  path: '/',
  maxPayload: 1024 * 1024,
  heartbeat: 30_000,
} satisfies WsOptions

const count = (name: string, value: number): OptionRule =>
  between(0, Number.MAX_SAFE_INTEGER, 'a number', `${name}: ${value}`)

const RULES = {
  ...HTTP_RULES,
  maxPayload: between(1, Number.MAX_SAFE_INTEGER, 'a number of bytes', 'maxPayload: 1024 * 1024'),
  heartbeat: between(0, MAX_TIMER, 'milliseconds', 'heartbeat: 30_000'),
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
  return settingsOf('ws', options, RULES, DEFAULTS)
}
