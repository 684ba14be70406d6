/**
 * Times something: how often per second when it happens `count` times in it.
 *
 * @param {number} count
 * @param {() => unknown} work may return a promise
 */
export async function perSecond(count, work) {
  const start = performance.now()
  await work()
  return count / ((performance.now() - start) / 1000)
}

/**
 * Complains unless all that was sent has arrived.
 *
 * @param {number} actual
 * @param {number} expected
 */
export function expectCount(actual, expected) {
  if (actual !== expected) throw new Error(`${actual} of ${expected} messages were handled`)
}
