import type { LogHandler, Position, SubscribeOptions } from '../engines/log.js'
import { bytes, type EnginePart, pass } from './engine-conformance-fixture.js'
import { brief, fill, listener } from './engine-conformance-log.js'

const KEPT = { size: 100, ttl: 3_600_000 }
const ignore: LogHandler = { entry: () => undefined, gap: () => undefined }

/** The part of the suite on subscriptions that go on from a position, of `log.ts`. */
export const recoveryPart: EnginePart<'log'> = {
  capability: 'log',
  lacking: 'it has no log',
  tests({ check, expect, noReopen }) {
    check('begins a subscription at the end when it is given no position', async log => {
      const end = await fill(log, 'a', 1, 3)
      const { position, recovered, reason, entries } = await log.subscribe('a', ignore)
      expect({ position, recovered, reason, entries }).toEqual({
        position: end,
        recovered: false,
        reason: undefined,
        entries: [],
      })
    })

    check('recovers what was published after a position', async log => {
      const since = await fill(log, 'a', 1, 3)
      const end = await fill(log, 'a', 4, 6)
      const { heard, handler } = listener()
      const { position, recovered, reason, entries } = await log.subscribe('a', handler, { since })
      expect([position, recovered, reason]).toEqual([end, true, undefined])
      expect(brief(entries)).toEqual([4, 5, 6].map(value => [value, value]))
      await fill(log, 'a', 7, 8)
      expect(await heard.atLeast(2)).toEqual([7, 8].map(value => [value, value]))
    })

    check('recovers nothing when nothing was published', async log => {
      const since = await fill(log, 'a', 1, 3, {})
      const { position, recovered, entries } = await log.subscribe('a', ignore, { since })
      expect([position, recovered, entries]).toEqual([since, true, []])
    })

    check('recovers from the beginning of a channel that was empty', async log => {
      const first = await log.subscribe('a', ignore)
      expect(first.position.offset).toBe(0)
      first.close()
      await fill(log, 'a', 1, 2)
      const { recovered, entries } = await log.subscribe('a', ignore, { since: first.position })
      expect([recovered, brief(entries).length]).toEqual([true, 2])
    })

    check('says why it does not recover, and gives the latest on demand', async log => {
      const { epoch } = await fill(log, 'a', 1, 9, { size: 4 })
      const begin = async (since: Position, options: SubscribeOptions = {}) => {
        const { position, recovered, reason, entries, close } = await log.subscribe('a', ignore, {
          since,
          ...options,
        })
        close()
        expect([position, recovered]).toEqual([{ epoch, offset: 9 }, false])
        return [reason, brief(entries)]
      }
      expect(await begin({ epoch: 'other', offset: 9 })).toEqual(['epoch', []])
      expect(await begin({ epoch, offset: 4 })).toEqual(['trimmed', []])
      expect(await begin({ epoch, offset: 10 })).toEqual(['ahead', []])
      expect(await begin({ epoch, offset: 5 }, { limit: 3 })).toEqual(['limit', []])
      expect(await begin({ epoch, offset: 4 }, { latest: true })).toEqual(['trimmed', [[9, 9]]])
      const latest = await log.subscribe('a', ignore, { latest: true })
      expect([latest.recovered, brief(latest.entries)]).toEqual([false, [[9, 9]]])
      const all = await log.subscribe('a', ignore, { since: { epoch, offset: 5 }, limit: 4, latest: true })
      expect([all.recovered, all.entries.length]).toEqual([true, 4])
    })

    check('recovers nothing whose time is over', async (log, subject) => {
      const since = await fill(log, 'a', 1, 1, { size: 10, ttl: 100 })
      const end = await fill(log, 'a', 2, 2, { size: 10, ttl: 100 })
      await pass(subject, 100, async () => (await log.history('a')).entries.length === 0)
      const { recovered, reason, entries } = await log.subscribe('a', ignore, { since, latest: true })
      expect([recovered, reason, entries]).toEqual([false, 'trimmed', []])
      expect((await log.subscribe('a', ignore, { since: end })).recovered).toBe(true)
    })

    check('recovers nothing of an epoch that has ended', async log => {
      const since = await fill(log, 'a', 1, 3)
      await log.remove('a')
      await fill(log, 'a', 4, 8)
      const { recovered, reason, entries } = await log.subscribe('a', ignore, { since })
      expect([recovered, reason, entries]).toEqual([false, 'epoch', []])
    })

    check('leaves nothing out and brings nothing twice while others publish', async log => {
      const begin = await fill(log, 'a', 0, 0)
      const publishing: Promise<unknown>[] = []
      const subscribers: { seen: number[]; heard: ReturnType<typeof listener>['heard'] }[] = []
      for (let round = 1; round <= 20; round++) {
        publishing.push(log.publish('a', bytes(2 * round - 1), KEPT))
        const { heard, handler } = listener()
        const subscribing = log.subscribe('a', handler, { since: begin })
        publishing.push(log.publish('a', bytes(2 * round), KEPT))
        const { recovered, entries } = await subscribing
        expect([recovered, heard.items.length]).toEqual([true, 0])
        subscribers.push({ seen: brief(entries).map(([, value]) => value!), heard })
      }
      await Promise.all(publishing)
      for (const { seen, heard } of subscribers) {
        const rest = await heard.atLeast(40 - seen.length)
        expect([...seen, ...rest.map(([, value]) => value)]).toEqual(
          Array.from({ length: 40 }, (_, i) => i + 1),
        )
      }
    })

    check('calls the handler in a later turn than the one that has the subscription', async log => {
      const { heard, handler } = listener()
      const subscribing = log.subscribe('a', handler)
      const publishing = log.publish('a', bytes(1))
      await subscribing
      // What follows up the promise may itself wait for a few more.
      for (let step = 0; step < 10; step++) {
        expect(heard.items).toEqual([])
        await undefined
      }
      await publishing
      await log.publish('a', bytes(2))
      await heard.atLeast(1)
    })

    check(
      'keeps positions and histories over a restart, or begins a new epoch',
      async (log, subject) => {
        const since = await fill(log, 'a', 1, 2)
        await log.publish('a', bytes(3), { ...KEPT, key: 'once' })
        await log.publish('none kept', bytes(1))
        await subject.engine.close()
        const engine = subject.reopen!()
        try {
          const again = engine.log!
          const { position, recovered, reason, entries } = await again.subscribe('a', ignore, { since })
          if (recovered) {
            expect([position.epoch, brief(entries)]).toEqual([since.epoch, [[3, 3]]])
            expect((await again.publish('a', bytes(4), { ...KEPT, key: 'once' })).duplicate).toBe(true)
            expect((await again.publish('a', bytes(4), KEPT)).offset).toBe(4)
            expect((await again.publish('none kept', bytes(2))).offset).toBe(2)
          } else expect([reason, position.epoch === since.epoch]).toEqual(['epoch', false])
        } finally {
          await engine.close()
        }
      },
      noReopen,
    )
  },
}
