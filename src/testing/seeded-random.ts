/**
 * Makes a generator of numbers from 0 to below 1: the same seed, the same numbers.
 *
 * mulberry32, by Tommy Ettinger (public domain): small and even, not for secrets.
 *
 * @param seed a whole number; further ones make independent generators of the same seed
 */
export function seededRandom(...seed: number[]): () => number {
  let state = 0
  for (const part of seed) state = mix((state + part + 0x9e3779b9) | 0)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The end of MurmurHash3: neighbouring seeds must not give similar numbers. */
function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
