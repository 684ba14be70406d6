import { randomFillSync } from 'node:crypto'

/** Bytes fetched from the system at a time: a fetch costs the same for 16 bytes and for these. */
const POOL = 4096

const pool = Buffer.alloc(POOL)
let used = POOL

/**
 * A text that nobody can guess: so many random bytes in base64url.
 *
 * @param bytes 4,096 at most
 */
export function randomText(bytes: number): string {
  if (used + bytes > POOL) {
    randomFillSync(pool)
    used = 0
  }
  const from = used
  used += bytes
  const text = pool.toString('base64url', from, used)
  // What has become a secret is to be in no second place.
  pool.fill(0, from, used)
  return text
}
