import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  between,
  checkPlace,
  HTTP_DEFAULTS,
  HTTP_RULES,
  type HttpOptions,
  MAX_TIMER,
} from './http-options.js'
import { checkOptions, type OptionRule } from './option-checks.js'

/** Options of `sockjs`: one of `port` and `server`, and what else is wanted. */
export interface SockJsOptions extends HttpOptions {
  /** Path that all of SockJS's own begin with. Default `/sockjs`. */
  readonly path?: string
  /** Bytes in the largest frame taken from a client; a request may have four times that. Default 1 MiB. */
  readonly maxPayload?: number
  /** Characters in a streaming response, after which the client opens another. Default 128 KiB. */
  readonly responseLimit?: number
  /** Sets a `JSESSIONID` cookie, for balancers that go by it; or a function that sets what it wants. */
  readonly jsessionid?: boolean | ((request: IncomingMessage, response: ServerResponse) => void)
  /** Where iframes load `sockjs-client` from. Default the package's own: a CDN. */
  readonly sockjsUrl?: string
  /** Milliseconds without an open response after which a client is gone. Default 5000. */
  readonly disconnectDelay?: number
  /** Milliseconds between heartbeats. Default 25000. */
  readonly heartbeatDelay?: number
  /** Whether clients may use WebSockets. Default true. */
  readonly websocket?: boolean
}

/** Options with the defaults filled in. */
export type SockJsSettings = SockJsOptions & Required<Pick<SockJsOptions, keyof typeof DEFAULTS>>

const DEFAULTS = {
  ...HTTP_DEFAULTS,
  path: '/sockjs',
  maxPayload: 1024 * 1024,
  websocket: true,
} satisfies SockJsOptions

const bytes = (fix: string): OptionRule => between(1, Number.MAX_SAFE_INTEGER, 'a number of bytes', fix)

const RULES = {
  ...HTTP_RULES,
  path: { ...HTTP_RULES.path, fix: "path: '/sockjs'" },
  maxPayload: bytes('maxPayload: 1024 * 1024'),
  responseLimit: bytes('responseLimit: 128 * 1024'),
  jsessionid: {
    test: value => typeof value === 'boolean' || typeof value === 'function',
    wants: 'true, false or a function',
    fix: 'jsessionid: true',
  },
  sockjsUrl: {
    test: value => typeof value === 'string' && /^[^"<>\s]+$/.test(value),
    wants: 'the address of a script',
    fix: "sockjsUrl: '/sockjs.min.js'",
  },
  disconnectDelay: between(1, MAX_TIMER, 'milliseconds', 'disconnectDelay: 5_000'),
  heartbeatDelay: between(1, MAX_TIMER, 'milliseconds', 'heartbeatDelay: 25_000'),
  websocket: { test: value => typeof value === 'boolean', wants: 'true or false', fix: 'websocket: false' },
} satisfies Record<keyof SockJsOptions, OptionRule>

/**
 * Checks options and fills in the defaults.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function sockJsSettings(options: SockJsOptions): SockJsSettings {
  checkOptions('sockjs', options, RULES)
  checkPlace('sockjs', options)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...DEFAULTS, ...(Object.fromEntries(given) as SockJsOptions) }
}

/** The options of the `sockjs` package that are given, by its names. */
export function packageOptions(settings: SockJsSettings): object {
  const named = {
    response_limit: settings.responseLimit,
    jsessionid: settings.jsessionid,
    sockjs_url: settings.sockjsUrl,
    disconnect_delay: settings.disconnectDelay,
    heartbeat_delay: settings.heartbeatDelay,
    websocket: settings.websocket,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
}
