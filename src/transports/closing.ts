import { SocketStreamError } from '../errors.js'

/** Bytes of UTF-8 that a close frame has room for after its code (RFC 6455, 5.5). */
const REASON_BYTES = 123

const encoder = new TextEncoder()
const scratch = new Uint8Array(REASON_BYTES)

/** Cuts a close reason to 123 bytes of UTF-8, never inside a character. */
export function truncateReason(reason: string): string {
  return reason.slice(0, encoder.encodeInto(reason, scratch).read)
}

/**
 * Refuses a close code that may not be sent (RFC 6455, 7.4): 1004–1006, 1015 and all out of range.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function checkCloseCode(code: number): void {
  const standard = code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)
  if (Number.isInteger(code) && (standard || (code >= 3000 && code <= 4999))) return
  throw new SocketStreamError(
    'INVALID_OPTION',
    `Close code ${code} cannot be sent; give 1000 or one from 4000 to 4999, as in link.close(4404, 'why')`,
  )
}
