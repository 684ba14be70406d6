import { type EnginePart, pass, refusal } from './engine-conformance-fixture.js'

const LONG = 3_600_000

/** The part of the suite on `lease.ts`. */
export const leasePart: EnginePart<'lease'> = {
  capability: 'lease',
  lacking: 'it has no leases',
  tests({ check, expect, noReopen }) {
    check('gives a name to one at a time', async leases => {
      const taken = await Promise.all(Array.from({ length: 20 }, () => leases.acquire('a', LONG)))
      expect(taken.filter(lease => lease !== undefined).length).toBe(1)
      expect((await leases.acquire('b', LONG)) === undefined).toBe(false)
    })

    check('tells who holds a name', async leases => {
      expect(await leases.current('a')).toBe(undefined)
      const lease = await leases.acquire('a', LONG, 'node 1')
      const current = await leases.current('a')
      expect({ token: current?.token, holder: current?.holder }).toEqual({ ...lease, holder: 'node 1' })
      expect(current!.remaining > 0 && current!.remaining <= LONG).toBe(true)
      await leases.acquire('b', LONG)
      expect((await leases.current('b'))?.holder).toBe('')
    })

    check('gives a greater token each time, also after a release', async leases => {
      let last = 0
      for (let round = 0; round < 10; round++) {
        const { token } = (await leases.acquire('a', LONG))!
        expect(Number.isSafeInteger(token) && token > last).toBe(true)
        last = token
        expect(await leases.release('a', token)).toBe(true)
        expect(await leases.current('a')).toBe(undefined)
      }
    })

    check('lets nobody but the holder renew or release', async leases => {
      const { token } = (await leases.acquire('a', LONG, 'first'))!
      expect(await leases.renew('a', token + 1, LONG)).toBe(false)
      expect(await leases.release('a', token + 1)).toBe(false)
      expect(await leases.renew('none', token, LONG)).toBe(false)
      expect(await leases.renew('a', token, 2 * LONG)).toBe(true)
      const current = await leases.current('a')
      expect([current?.token, current?.holder, current!.remaining > LONG]).toEqual([token, 'first', true])
    })

    check(
      'ends a lease that is not renewed, and lets its holder change nothing then',
      async (leases, subject) => {
        const { token } = (await leases.acquire('a', 100))!
        await pass(subject, 100, async () => (await leases.current('a')) === undefined)
        expect(await leases.renew('a', token, LONG)).toBe(false)
        const next = (await leases.acquire('a', LONG))!
        expect(next.token > token).toBe(true)
        expect(await leases.release('a', token)).toBe(false)
        expect((await leases.current('a'))?.token).toBe(next.token)
      },
    )

    check('refuses what is no name, holder, token or time', async leases => {
      const calls = [
        leases.acquire('', LONG),
        leases.acquire('n'.repeat(513), LONG),
        leases.acquire('a', 0),
        leases.acquire('a', 1.5),
        leases.acquire('a', LONG, 'h'.repeat(513)),
        leases.renew('a', 0, LONG),
        leases.renew('a', 1, 0),
        leases.release('a', Number.NaN),
        leases.current(7 as never),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'INVALID_ARGUMENTS'))
    })

    check('is unavailable once the engine is closed', async (leases, subject) => {
      await subject.engine.close()
      const calls = [leases.acquire('a', LONG), leases.renew('a', 1, LONG), leases.release('a', 1)]
      for (const call of [...calls, leases.current('a')])
        expect(await refusal(call)).toBe('ENGINE_UNAVAILABLE')
    })

    check(
      'keeps leases and their tokens growing over a restart',
      async (leases, subject) => {
        const { token } = (await leases.acquire('a', LONG, 'first'))!
        const other = (await leases.acquire('b', LONG))!
        await leases.release('b', other.token)
        await subject.engine.close()
        const engine = subject.reopen!()
        try {
          expect(await engine.lease!.acquire('a', LONG)).toBe(undefined)
          expect((await engine.lease!.current('a'))?.token).toBe(token)
          expect((await engine.lease!.acquire('b', LONG))!.token > other.token).toBe(true)
        } finally {
          await engine.close()
        }
      },
      noReopen,
    )
  },
}
