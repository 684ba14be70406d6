import { bytes, type EnginePart, pass } from './engine-conformance-fixture.js'
import { brief, fill } from './engine-conformance-log.js'

const KEPT = { size: 100, ttl: 3_600_000 }

/** The part of the suite on what a channel keeps, of `log.ts`. */
export const historyPart: EnginePart<'log'> = {
  capability: 'log',
  lacking: 'it has no log',
  tests({ check, expect }) {
    check('keeps the newest entries, as many as the latest publication says', async log => {
      await fill(log, 'a', 1, 10, { size: 4 })
      expect(brief((await log.history('a')).entries).map(([offset]) => offset)).toEqual([7, 8, 9, 10])
      await log.publish('a', bytes(11), { size: 2 })
      expect(brief((await log.history('a')).entries).map(([offset]) => offset)).toEqual([10, 11])
      await log.publish('a', bytes(12))
      const { position, entries } = await log.history('a')
      expect([position.offset, entries.length]).toEqual([12, 0])
    })

    check('keeps entries for their time', async (log, subject) => {
      await fill(log, 'a', 1, 3, { size: 10, ttl: 100 })
      await pass(subject, 100, async () => (await log.history('a')).entries.length === 0)
      await log.publish('a', bytes(4), KEPT)
      expect(brief((await log.history('a')).entries)).toEqual([[4, 4]])
    })

    check('gives a history page by page, from either end', async log => {
      const end = await fill(log, 'a', 1, 7)
      for (const reverse of [false, true]) {
        const offsets: number[] = []
        let page = await log.history('a', { limit: 3, reverse })
        while (true) {
          expect(page.position).toEqual(end)
          offsets.push(...page.entries.map(({ offset }) => offset))
          if (page.complete) break
          const since = { epoch: page.position.epoch, offset: offsets.at(-1)! }
          page = await log.history('a', { since, limit: 3, reverse })
        }
        expect(offsets).toEqual(reverse ? [7, 6, 5, 4, 3, 2, 1] : [1, 2, 3, 4, 5, 6, 7])
      }
      const whole = await log.history('a', { limit: 7 })
      expect([whole.entries.length, whole.complete]).toEqual([7, true])
    })

    check('says why a history does not go on from a position', async log => {
      const { epoch } = await fill(log, 'a', 1, 5, { size: 2 })
      const reason = async (since: { epoch: string; offset: number }) => {
        const { entries, complete, reason } = await log.history('a', { since })
        return [entries.length, complete, reason]
      }
      expect(await reason({ epoch: 'other', offset: 4 })).toEqual([0, false, 'epoch'])
      expect(await reason({ epoch, offset: 2 })).toEqual([0, false, 'trimmed'])
      expect(await reason({ epoch, offset: 6 })).toEqual([0, false, 'ahead'])
      expect(await reason({ epoch, offset: 3 })).toEqual([2, true, undefined])
      expect(await reason({ epoch, offset: 5 })).toEqual([0, true, undefined])
    })
  },
}
