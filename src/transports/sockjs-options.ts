import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  between,
  HTTP_DEFAULTS,
  HTTP_RULES,
  type HttpOptions,
  MAX_TIMER,
  settingsOf,
} from './http-options.js'
import type { OptionRule } from './option-checks.js'

/** Options of `sockjs`: where to listen and what else is wanted, by the names of the `sockjs` package. */
export interface SockJsOptions extends HttpOptions {
  /** Path that all of SockJS's own begin with. Default `/sockjs`. */
  readonly prefix?: string
  /** Bytes in the largest frame taken from a client; a request may have four times that. Default 1 MiB. */
  readonly maxPayload?: number
  /** Characters in a streaming response, after which the client opens another. Default 128 KiB. */
  readonly response_limit?: number
  /** Sets a `JSESSIONID` cookie, for balancers that go by it; or a function that sets what it wants. */
  readonly jsessionid?: boolean | ((request: IncomingMessage, response: ServerResponse) => void)
  /** Where iframes load `sockjs-client` from. Default the package's own: a CDN. */
  readonly sockjs_url?: string
  /** Milliseconds without an open response after which a client is gone. Default 5000. */
  readonly disconnect_delay?: number
  /** Milliseconds between heartbeats. Default 25000. */
  readonly heartbeat_delay?: number
  /** Whether clients may use WebSockets. Default true. */
  readonly websocket?: boolean
}

/** Options with the defaults filled in. */
export type SockJsSettings = SockJsOptions & Required<Pick<SockJsOptions, keyof typeof DEFAULTS>>

const DEFAULTS = {
  ...HTTP_DEFAULTS,
  prefix: '/sockjs',
  maxPayload: 1024 * 1024,
  websocket: true,
} satisfies SockJsOptions

const bytes = (fix: string): OptionRule => between(1, Number.MAX_SAFE_INTEGER, 'a number of bytes', fix)

const { path, ...COMMON } = HTTP_RULES

const RULES = {
  ...COMMON,
  prefix: { ...HTTP_RULES.path, fix: "prefix: '/sockjs'" },
  maxPayload: bytes('maxPayload: 1024 * 1024'),
  response_limit: bytes('response_limit: 128 * 1024'),
  jsessionid: {
    test: value => typeof value === 'boolean' || typeof value === 'function',
    wants: 'true, false or a function',
    fix: 'jsessionid: true',
  },
  sockjs_url: {
    test: value => typeof value === 'string' && /^[^"<>\s]+$/.test(value),
    wants: 'the address of a script',
    fix: "sockjs_url: '/sockjs.min.js'",
  },
  disconnect_delay: between(1, MAX_TIMER, 'milliseconds', 'disconnect_delay: 5_000'),
  heartbeat_delay: between(1, MAX_TIMER, 'milliseconds', 'heartbeat_delay: 25_000'),
  websocket: { test: value => typeof value === 'boolean', wants: 'true or false', fix: 'websocket: false' },
} satisfies Record<keyof SockJsOptions, OptionRule>

/**
 * Checks options and fills in the defaults.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function sockJsSettings(options: SockJsOptions): SockJsSettings {
  return settingsOf('sockjs', options, RULES, DEFAULTS)
}

const PASSED_ON = [
  'response_limit',
  'jsessionid',
  'sockjs_url',
  'disconnect_delay',
  'heartbeat_delay',
  'websocket',
] as const

/** The options that are given to the `sockjs` package. */
export function packageOptions(settings: SockJsSettings): object {
  const given = PASSED_ON.filter(name => settings[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, settings[name]]))
}
