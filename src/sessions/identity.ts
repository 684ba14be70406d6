import { parse } from 'cookie'
import { sign, unsign } from 'cookie-signature'

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
    const value = parse(header)[this.#name]
    return value?.startsWith('s:') ? verified(value.slice(2), this.#secrets) : undefined
  }

  /** The session id in a client's token; undefined when it is not rightly signed. */
  fromToken(token: string | undefined): string | undefined {
    return token?.startsWith('t:') ? verified(token.slice(2), this.#tokenSecrets) : undefined
  }

  /** The token that lets a client name this session again. */
  token(id: string): string {
    return `t:${sign(id, this.#tokenSecrets[0]!)}`
  }
}

function verified(signed: string, secrets: readonly string[]): string | undefined {
  for (const secret of secrets) {
    const id = unsign(signed, secret)
    if (id !== false) return id
  }
  return undefined
}
