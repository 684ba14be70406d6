import fc from 'fast-check'
import { expect } from 'vitest'
import type { EngineSubject } from '../../src/testing/index.js'

const KEYS = ['a', 'a/b', 'b', '👋']
/** Which version a write asks for: none in particular, what stands, nothing, or one that has been. */
const condition = fc.constantFrom('any', 'standing', 'none', 'old')
const key = fc.constantFrom(...KEYS)
const step = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    key,
    condition,
    value: fc.uint8Array({ maxLength: 40 }),
    ttl: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
  }),
  fc.record({ do: fc.constant('delete' as const), key, condition }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    do: fc.constant('keys' as const),
    prefix: fc.constantFrom('', 'a', 'a/'),
    after: fc.constantFrom('', 'a', 'aa'),
    limit: fc.integer({ min: 1, max: 4 }),
  }),
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
type Subject = EngineSubject & { advance(ms: number): void }

/** Runs random steps on an engine and on a map, and compares after each. */
export async function followsMap(setup: () => Subject, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const subject = setup()
      try {
        await compare(subject, steps)
      } finally {
        await subject.engine.close()
        await subject.dispose?.()
      }
    }),
    { numRuns },
  )
}

async function compare({ engine, advance }: Subject, steps: Step[]) {
  const kv = engine.kv!
  const map = new Map<string, { value: Uint8Array; version: number; expires: number }>()
  const last = new Map<string, number>()
  let now = 0
  for (const each of steps) {
    if (each.do === 'advance') {
      advance(each.ms)
      now += each.ms
    } else if (each.do === 'keys') {
      const { prefix, after, limit } = each
      const keys = [...map.keys()].filter(name => name.startsWith(prefix) && name > after)
      expect(await kv.keys({ prefix, after, limit })).toEqual(keys.sort().slice(0, limit))
    } else {
      const stands = map.get(each.key)?.version ?? 0
      const wanted = { any: undefined, standing: stands, none: 0, old: (last.get(each.key) ?? 2) - 1 }
      const ifVersion = wanted[each.condition]
      const options = ifVersion === undefined ? {} : { ifVersion }
      const fits = ifVersion === undefined || ifVersion === stands
      if (each.do === 'delete') {
        const deleting = kv.delete(each.key, options)
        if (!fits) await expect(deleting).rejects.toMatchObject({ code: 'ENGINE_CONFLICT' })
        else expect(await deleting).toBe(map.delete(each.key))
      } else {
        const { value, ttl } = each
        const setting = kv.set(each.key, value, ttl === undefined ? options : { ...options, ttl })
        if (!fits) await expect(setting).rejects.toMatchObject({ code: 'ENGINE_CONFLICT' })
        else {
          const version = await setting
          expect(version).toBeGreaterThan(last.get(each.key) ?? 0)
          last.set(each.key, version)
          map.set(each.key, { value, version, expires: ttl === undefined ? Infinity : now + ttl })
        }
      }
    }
    for (const [name, { expires }] of map) if (expires <= now) map.delete(name)
    for (const name of KEYS) {
      const entry = map.get(name)
      expect(await kv.get(name)).toEqual(entry && { value: entry.value, version: entry.version })
    }
  }
}
