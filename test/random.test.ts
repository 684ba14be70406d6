import { expect, test } from 'vitest'
import { randomText } from '../src/random.js'

test('random texts have their bytes and are never the same, past the end of what is fetched at a time', () => {
  const texts = Array.from({ length: 2000 }, (_, i) => randomText(12 + (i % 13)))
  expect(new Set(texts).size).toBe(texts.length)
  const sizes = texts.map(text => Buffer.from(text, 'base64url').length)
  expect(sizes).toEqual(texts.map((_, i) => 12 + (i % 13)))
  const characters = texts.join('')
  // Each of the 64 characters comes about as often: one that was not random would not.
  const counts = new Map<string, number>()
  for (const character of characters) counts.set(character, (counts.get(character) ?? 0) + 1)
  expect(counts.size).toBe(64)
  expect(Math.min(...counts.values())).toBeGreaterThan(characters.length / 64 / 2)
})
