import { timingSafeEqual } from 'node:crypto'

/** What a client shows to go on with its connection, read. */
export interface ResumeToken {
  /** The connection's. */
  readonly id: string
  readonly secret: string
  /** The server of a cluster that has it, or had it when it said so. */
  readonly node: string | undefined
}

/** Before the server's id; a secret has none. */
const AT = '~'

/** Writes a token: `<id>.<secret>`, and `~<server>` behind it in a cluster. */
export function writeToken(idAndSecret: string, node: string | undefined): string {
  return node === undefined ? idAndSecret : idAndSecret + AT + node
}

/** Reads what a client shows; what is none has a secret that nobody has. */
export function readToken(text: string): ResumeToken {
  const dot = text.lastIndexOf('.')
  const at = text.indexOf(AT, dot)
  const end = at < 0 ? text.length : at
  return {
    id: text.slice(0, Math.max(dot, 0)),
    secret: text.slice(dot + 1, end),
    node: at < 0 ? undefined : text.slice(at + 1),
  }
}

/** Compares in constant time. */
export function isSameSecret(given: string, secret: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(secret)]
  return one.length === other.length && timingSafeEqual(one, other)
}
