import {
  between,
  HTTP_DEFAULTS,
  HTTP_RULES,
  type HttpOptions,
  MAX_TIMER,
  settingsOf,
} from './http-options.js'
import type { OptionRule } from './option-checks.js'

/** Options of a transport that sends on one long response and receives by requests. */
export interface StreamOptions extends HttpOptions {
  /** Path to connect to, without a query. Default by the transport. */
  readonly path?: string
  /** Bytes in the largest frame taken from a client; a request may have six times that. Default 1 MiB. */
  readonly maxPayload?: number
  /** Milliseconds between beats that keep proxies from closing a response, 0 for none. Default 25000. */
  readonly heartbeat?: number
}

/** Options with the defaults filled in. */
export type StreamSettings = StreamOptions & Required<Pick<StreamOptions, keyof typeof DEFAULTS | 'path'>>

const DEFAULTS = {
  ...HTTP_DEFAULTS,
  maxPayload: 1024 * 1024,
  heartbeat: 25_000,
} satisfies StreamOptions

/** Bytes in the largest `maxPayload`: what comes in a request must also fit a string of JSON. */
const MAX_PAYLOAD = 64 * 1024 * 1024

/**
 * Checks options and fills in the defaults.
 *
 * @param factory name of the transport's function, for messages
 * @param path the default of the option
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function streamSettings(factory: string, options: StreamOptions, path: string): StreamSettings {
  const rules = {
    ...HTTP_RULES,
    path: { ...HTTP_RULES.path, fix: `path: '${path}'` },
    maxPayload: between(1, MAX_PAYLOAD, 'a number of bytes', 'maxPayload: 1024 * 1024'),
    heartbeat: between(0, MAX_TIMER, 'milliseconds', 'heartbeat: 25_000'),
  } satisfies Record<keyof StreamOptions, OptionRule>
  return settingsOf(factory, options, rules, { ...DEFAULTS, path })
}
