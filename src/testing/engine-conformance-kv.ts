import type { KeyValue } from '../engines/engine.js'
import { bytes, type EnginePart, type EngineSubject, refusal } from './engine-conformance-fixture.js'
import { codeOf } from './transport-fixture.js'

/** The part of the suite on `key-value.ts`. */
export const keyValuePart: EnginePart<'kv'> = {
  capability: 'kv',
  lacking: 'it has no key-value store',
  tests({ check, expect, noReopen }) {
    const standing = async (kv: KeyValue, key: string) => {
      const entry = await kv.get(key)
      return entry && { value: [...entry.value], version: entry.version }
    }

    check('gives what was set, under a version', async kv => {
      expect(await kv.get('a')).toBe(undefined)
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      for (const value of [new Uint8Array(0), bytes(0), all, bytes(7)]) {
        const version = await kv.set('a', value)
        expect(Number.isSafeInteger(version) && version > 0).toBe(true)
        expect(await standing(kv, 'a')).toEqual({ value: [...value], version })
      }
      expect(await kv.get('b')).toBe(undefined)
    })

    check('gives every write of a key a greater version, also after it was deleted', async kv => {
      let last = 0
      for (let round = 0; round < 5; round++) {
        for (const write of [1, 2]) {
          const version = await kv.set('a', bytes(write))
          expect(version > last).toBe(true)
          last = version
        }
        expect(await kv.delete('a')).toBe(true)
        expect(await kv.get('a')).toBe(undefined)
      }
    })

    check('writes when the version wanted stands there, and only then', async kv => {
      expect(await refusal(kv.set('a', bytes(1), { ifVersion: 1 }))).toBe('ENGINE_CONFLICT')
      expect(await kv.get('a')).toBe(undefined)
      const first = await kv.set('a', bytes(2), { ifVersion: 0 })
      expect(await refusal(kv.set('a', bytes(3), { ifVersion: 0 }))).toBe('ENGINE_CONFLICT')
      const second = await kv.set('a', bytes(4), { ifVersion: first })
      expect(await refusal(kv.set('a', bytes(5), { ifVersion: first }))).toBe('ENGINE_CONFLICT')
      expect(await standing(kv, 'a')).toEqual({ value: [4], version: second })
    })

    check('deletes when the version wanted stands there, and only then', async kv => {
      expect(await kv.delete('a')).toBe(false)
      expect(await kv.delete('a', { ifVersion: 0 })).toBe(false)
      expect(await refusal(kv.delete('a', { ifVersion: 1 }))).toBe('ENGINE_CONFLICT')
      const version = await kv.set('a', bytes(1))
      expect(await refusal(kv.delete('a', { ifVersion: 0 }))).toBe('ENGINE_CONFLICT')
      expect(await refusal(kv.delete('a', { ifVersion: version + 1 }))).toBe('ENGINE_CONFLICT')
      expect(await standing(kv, 'a')).toEqual({ value: [1], version })
      expect(await kv.delete('a', { ifVersion: version })).toBe(true)
      expect(await refusal(kv.set('a', bytes(2), { ifVersion: version }))).toBe('ENGINE_CONFLICT')
    })

    check('lets one of many writers win each round', async kv => {
      let version = 0
      for (let round = 0; round < 20; round++) {
        const calls = Array.from({ length: 8 }, (_, writer) =>
          kv.set('a', bytes(writer), { ifVersion: version }),
        )
        const results = await Promise.allSettled(calls)
        const won = results.flatMap(({ status }, writer) => (status === 'fulfilled' ? [writer] : []))
        const lost = results.flatMap(result => (result.status === 'rejected' ? [codeOf(result.reason)] : []))
        expect(won.length).toBe(1)
        expect(lost).toEqual(Array(7).fill('ENGINE_CONFLICT'))
        version = await calls[won[0]!]!
        expect(await standing(kv, 'a')).toEqual({ value: won, version })
      }
    })

    check('lets the write with the greatest version stand', async kv => {
      const versions = await Promise.all(Array.from({ length: 50 }, (_, i) => kv.set('a', bytes(i))))
      expect(new Set(versions).size).toBe(50)
      const greatest = Math.max(...versions)
      expect(await standing(kv, 'a')).toEqual({ value: [versions.indexOf(greatest)], version: greatest })
    })

    check('copies values, both ways', async kv => {
      const given = Buffer.from([1, 2, 3])
      const setting = kv.set('a', given)
      given.fill(9)
      await setting
      const got = await kv.get('a')
      got?.value.fill(8)
      expect([...((await kv.get('a'))?.value ?? [])]).toEqual([1, 2, 3])
    })

    check('takes keys of 1 to 512 bytes of UTF-8, and no others', async kv => {
      for (const key of ['a', '\0', '/', 'grüße 👋', 'k'.repeat(512), '€'.repeat(170)]) {
        const version = await kv.set(key, bytes(1))
        expect(await standing(kv, key)).toEqual({ value: [1], version })
      }
      const wrong: unknown[] = ['', 'k'.repeat(513), '€'.repeat(171), 'half \ud83d', undefined, 7]
      for (const key of wrong as string[]) {
        expect(await refusal(kv.get(key))).toBe('INVALID_ARGUMENTS')
        expect(await refusal(kv.set(key, bytes(1)))).toBe('INVALID_ARGUMENTS')
        expect(await refusal(kv.delete(key))).toBe('INVALID_ARGUMENTS')
      }
      expect((await kv.keys()).length).toBe(6)
    })

    check('takes values of up to 16 MiB, and no others', async kv => {
      const largest = new Uint8Array(16 * 1024 * 1024).fill(7)
      await kv.set('a', largest)
      expect(Buffer.compare((await kv.get('a'))?.value ?? bytes(), largest)).toBe(0)
      const wrong: unknown[] = [new Uint8Array(largest.length + 1), 'text', [1], undefined]
      for (const value of wrong as Uint8Array[]) {
        expect(await refusal(kv.set('b', value))).toBe('INVALID_ARGUMENTS')
      }
      expect(await kv.keys()).toEqual(['a'])
    })

    check('lists keys in the order of their bytes, from any of them', async kv => {
      const sorted = ['\0', 'a', 'a/', 'a/b', 'a0', 'b', 'ä', '\uffff', '👋']
      await Promise.all(sorted.toReversed().map(key => kv.set(key, bytes(1))))
      expect(await kv.keys()).toEqual(sorted)
      expect(await kv.keys({ prefix: 'a' })).toEqual(['a', 'a/', 'a/b', 'a0'])
      expect(await kv.keys({ prefix: 'a', after: 'a/' })).toEqual(['a/b', 'a0'])
      expect(await kv.keys({ prefix: 'a/', after: 'b' })).toEqual([])
      expect(await kv.keys({ after: '\uffff' })).toEqual(['👋'])
      expect(await kv.keys({ after: 'aa', limit: 2 })).toEqual(['b', 'ä'])
      expect(await kv.keys({ prefix: 'none' })).toEqual([])
    })

    check('lists 1,000 keys when no limit is given', async kv => {
      const keys = Array.from({ length: 1001 }, (_, i) => `k${String(i).padStart(4, '0')}`)
      await Promise.all(keys.map(key => kv.set(key, bytes(1))))
      expect(await kv.keys()).toEqual(keys.slice(0, 1000))
      expect(await kv.keys({ limit: 2000 })).toEqual(keys)
    })

    check('forgets an entry when its time is over', async (kv, subject) => {
      const version = await kv.set('a', bytes(1), { ttl: 100 })
      await kv.set('long', bytes(2), { ttl: 3_600_000 })
      await kv.set('stays', bytes(3), { ttl: 100 })
      await kv.set('stays', bytes(4))
      await past(kv, 'a', 100, subject)
      expect(await kv.keys()).toEqual(['long', 'stays'])
      expect(await refusal(kv.set('a', bytes(5), { ifVersion: version }))).toBe('ENGINE_CONFLICT')
      expect(await kv.delete('a')).toBe(false)
      expect((await kv.set('a', bytes(6), { ifVersion: 0 })) > version).toBe(true)
    })

    check('settles what is under way when it closes', async (kv, subject) => {
      const writes = Array.from({ length: 20 }, (_, i) => kv.set('a', bytes(i)))
      const [results] = await Promise.all([Promise.allSettled(writes), subject.engine.close()])
      const failures = results.flatMap(result =>
        result.status === 'rejected' ? [codeOf(result.reason)] : [],
      )
      expect(failures.filter(code => code !== 'ENGINE_UNAVAILABLE')).toEqual([])
    })

    check('is unavailable once closed', async (kv, subject) => {
      await kv.set('a', bytes(1))
      await Promise.all([subject.engine.close(), subject.engine.close()])
      await subject.engine.close()
      const calls = [kv.get('a'), kv.set('a', bytes(2)), kv.delete('a'), kv.keys()]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'ENGINE_UNAVAILABLE'))
    })

    check(
      'keeps entries and versions over a restart',
      async (kv, subject) => {
        const version = await kv.set('a', bytes(1))
        await kv.set('mortal', bytes(2), { ttl: 100 })
        const deleted = await kv.set('b', bytes(3))
        await kv.delete('b')
        await subject.engine.close()
        const engine = subject.reopen!()
        try {
          const again = engine.kv!
          expect(await standing(again, 'a')).toEqual({ value: [1], version })
          expect((await again.set('b', bytes(4))) > deleted).toBe(true)
          await past(again, 'mortal', 100, subject)
          expect(await again.keys()).toEqual(['a', 'b'])
        } finally {
          await engine.close()
        }
      },
      noReopen,
    )
  },
}

/** Goes past the time of an entry: by the subject's clock, or until the engine says that it is gone. */
async function past(kv: KeyValue, key: string, ms: number, subject: EngineSubject): Promise<void> {
  if (subject.advance) {
    subject.advance(ms - 1)
    if (!(await kv.get(key))) throw new Error(`The entry '${key}' is gone before its time`)
    subject.advance(1)
    if (await kv.get(key)) throw new Error(`The entry '${key}' is there past its time`)
    return
  }
  while (await kv.get(key)) await new Promise(resolve => setTimeout(resolve, 5))
}
