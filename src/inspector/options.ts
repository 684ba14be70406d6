import type { IncomingMessage } from 'node:http'
import { SocketStreamError } from '../errors.js'

/** Who may use an inspector: whoever has a token, or whom a function lets in. */
export type InspectorAuth = string | ((request: IncomingMessage) => boolean | Promise<boolean>)

/** Options of `app.inspector()`. */
export interface InspectorOptions {
  /** Where it is served, on the HTTP servers of the transports. Default `/_inspector`. */
  readonly path?: string
  /**
   * A token of at least 16 characters, or a function that says yes to a request; required in production.
   *
   * Default: whoever asks from this machine, and not through a proxy.
   */
  readonly auth?: InspectorAuth
  /** Whether it only shows, and does nothing. Default false. */
  readonly readOnly?: boolean
  /**
   * Hides values of payloads, contexts and sessions: returns what is shown instead of a value, by its key.
   *
   * Asked after the built-in rule, which hides what has password, token, secret, authorization or cookie in its key.
   */
  readonly redact?: (key: string, value: unknown) => unknown
  /** Seconds of samples that are kept, 10 to 3,600. Default 300. */
  readonly history?: number
}

/** The options with their defaults. */
export interface InspectorSettings {
  readonly path: string
  readonly auth: InspectorAuth | undefined
  readonly readOnly: boolean
  readonly redact: ((key: string, value: unknown) => unknown) | undefined
  readonly history: number
}

const KNOWN = ['path', 'auth', 'readOnly', 'redact', 'history']
const MIN_TOKEN = 16
const PATH = /^(\/[\w.~-]+)+$/

/**
 * Checks the options of an inspector.
 *
 * @param env the server's
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function inspectorSettings(options: InspectorOptions, env: string | undefined): InspectorSettings {
  if (options === null || typeof options !== 'object')
    throw invalid('inspector() takes an object', 'app.inspector({ auth: process.env.INSPECTOR_TOKEN })')
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) throw invalid(`there is no option \`${name}\``, `one of ${KNOWN.join(', ')}`)
  }
  const { path = '/_inspector', auth, readOnly = false, redact, history = 300 } = options
  if (typeof path !== 'string' || !PATH.test(path))
    throw invalid('`inspector.path` must be a path without a slash at its end', "path: '/_inspector'")
  if (auth !== undefined && typeof auth !== 'function' && typeof auth !== 'string')
    throw invalid('`inspector.auth` must be a token or a function', 'auth: request => isAdmin(request)')
  if (typeof auth === 'string' && auth.length < MIN_TOKEN)
    throw invalid(
      `\`inspector.auth\` has fewer than ${MIN_TOKEN} characters`,
      "one made by crypto.randomBytes(24).toString('base64url')",
    )
  if (auth === undefined && env === 'production')
    throw invalid('an inspector needs `auth` in production', 'auth: process.env.INSPECTOR_TOKEN')
  if (typeof readOnly !== 'boolean')
    throw invalid('`inspector.readOnly` must be true or false', 'readOnly: true')
  if (redact !== undefined && typeof redact !== 'function')
    throw invalid(
      '`inspector.redact` must be a function',
      "redact: (key, value) => key === 'iban' ? '…' : value",
    )
  if (!Number.isInteger(history) || history < 10 || history > 3600)
    throw invalid('`inspector.history` must be whole seconds from 10 to 3600', 'history: 300')
  return { path, auth, readOnly, redact, history }
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
