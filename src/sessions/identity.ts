import { parse } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import { storedCookie } from './cookie.js'
import type { StoredSession } from './session.js'

/** Who may name a session: the cookie that Express signed, or the token of an earlier welcome. */
export interface SessionIdentityOptions {
  /** Secrets, newest first: the first signs, all verify. */
  readonly secrets: readonly string[]
  /** Name of the cookie. Default `connect.sid`. */
  readonly name: string
}

/**
 * Reads and signs session ids.
 *
 * A bare or badly signed id names nothing. The token given to clients is signed for this purpose
 * alone: it is of no use as a cookie.
 */
export class SessionIdentity {
  readonly #secrets: readonly string[]
  readonly #tokenSecrets: readonly string[]
  readonly #name: string

  constructor(options: SessionIdentityOptions) {
    this.#secrets = options.secrets
    this.#tokenSecrets = options.secrets.map(secret => `socketstream.token:${secret}`)
    this.#name = options.name
  }

  /** The session id in a `Cookie` header; undefined when there is none that is rightly signed. */
  fromCookie(header: string | undefined): string | undefined {
    if (header === undefined || !header.includes(this.#name)) return undefined
    return this.fromValue(parse(header)[this.#name])
  }

  /** Whether a `Cookie` header has a cookie of this name, whoever signed it. */
  hasCookie(header: string | undefined): boolean {
    return header?.includes(this.#name) === true && parse(header)[this.#name] !== undefined
  }

  /** The session id in a cookie's value, `s:<id>.<signature>`; undefined when it is not rightly signed. */
  fromValue(value: unknown): string | undefined {
    if (typeof value !== 'string' || !value.startsWith('s:')) return undefined
    return verified(value.slice(2), this.#secrets)
  }

  /** The session id in a client's token; undefined when it is not rightly signed. */
  fromToken(token: string | undefined): string | undefined {
    return token?.startsWith('t:') ? verified(token.slice(2), this.#tokenSecrets) : undefined
  }

  /**
   * The session that a hello names: by `auth: { session }`, a cookie's value, or by the token of a welcome.
   */
  fromHello({
    auth,
    session,
  }: {
    readonly auth: unknown
    readonly session: string | undefined
  }): string | undefined {
    const given =
      auth !== null && typeof auth === 'object' ? (auth as { session?: unknown }).session : undefined
    return this.fromValue(given) ?? this.fromToken(session)
  }

  /** The token that lets a client name this session again. */
  token(id: string): string {
    return `t:${sign(id, this.#tokenSecrets[0]!)}`
  }

  /** The value of the cookie that names this session, not encoded for a header: `s:<id>.<signature>`. */
  value(id: string): string {
    return `s:${sign(id, this.#secrets[0]!)}`
  }

  /** The `Set-Cookie` header that gives a browser this session, by the settings in it. */
  cookie(id: string, { cookie }: StoredSession): string {
    return storedCookie(cookie).serialize(this.#name, this.value(id))
  }
}

function verified(signed: string, secrets: readonly string[]): string | undefined {
  for (const secret of secrets) {
    const id = unsign(signed, secret)
    if (id !== false) return id
  }
  return undefined
}
