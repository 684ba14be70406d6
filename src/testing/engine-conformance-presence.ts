import type { Presence } from '../engines/presence.js'
import { bytes, type EnginePart, Heard, pass, refusal } from './engine-conformance-fixture.js'

const LONG = 3_600_000

/** The part of the suite on `presence.ts`. */
export const presencePart: EnginePart<'presence'> = {
  capability: 'presence',
  lacking: 'it has no presence',
  tests({ check, expect }) {
    const names = async (presence: Presence, channel: string) =>
      (await presence.members(channel)).map(({ member }) => member)
    const watch = async (presence: Presence, channel: string) => {
      const heard = new Heard<string>()
      const { close } = await presence.watch(channel, {
        joined: ({ member, info }) => heard.add(`${member} joined ${info}`),
        left: ({ member }, reason) => heard.add(`${member} ${reason}`),
      })
      return { heard, close }
    }

    check('lists who has joined and not left, by name', async presence => {
      expect(await presence.members('a')).toEqual([])
      for (const member of ['eve', 'bob', 'ädam', 'ann']) {
        expect(await presence.join('a', member, bytes(1), LONG)).toBe(true)
      }
      await presence.join('b', 'zoe', bytes(2), LONG)
      expect(await names(presence, 'a')).toEqual(['ann', 'bob', 'eve', 'ädam'])
      expect(await presence.count('a')).toBe(4)
      expect(await presence.leave('a', 'bob')).toBe(true)
      expect(await presence.leave('a', 'bob')).toBe(false)
      expect(await names(presence, 'a')).toEqual(['ann', 'eve', 'ädam'])
      expect((await presence.members('a', { after: 'ann', limit: 1 })).map(({ member }) => member)).toEqual([
        'eve',
      ])
      expect([await presence.count('a'), await presence.count('b')]).toEqual([3, 1])
    })

    check('keeps one info of a member, the last', async presence => {
      const info = bytes(1)
      const joining = presence.join('a', 'ann', info, LONG)
      info.fill(9)
      expect(await joining).toBe(true)
      expect([...(await presence.members('a'))[0]!.info]).toEqual([1])
      expect(await presence.join('a', 'ann', bytes(2), LONG)).toBe(false)
      expect((await presence.members('a')).map(member => [...member.info])).toEqual([[2]])
    })

    check('drops who is not refreshed, and nobody else', async (presence, subject) => {
      await presence.join('a', 'short', bytes(), 100)
      await presence.join('a', 'long', bytes(), LONG)
      await presence.join('a', 'renewed', bytes(), 100)
      expect(await presence.refresh('a', 'renewed', LONG)).toBe(true)
      expect(await presence.refresh('a', 'nobody', LONG)).toBe(false)
      await pass(subject, 100, async () => (await presence.count('a')) === 2)
      expect(await names(presence, 'a')).toEqual(['long', 'renewed'])
      expect(await presence.refresh('a', 'short', LONG)).toBe(false)
      expect(await presence.leave('a', 'short')).toBe(false)
      expect(await presence.join('a', 'short', bytes(), LONG)).toBe(true)
    })

    check('tells watchers once of everybody who comes and goes', async presence => {
      const { heard } = await watch(presence, 'a')
      await presence.join('a', 'ann', bytes(1), LONG)
      await presence.join('a', 'ann', bytes(2), LONG)
      await presence.refresh('a', 'ann', LONG)
      await presence.join('b', 'bob', bytes(1), LONG)
      await presence.leave('a', 'ann')
      await presence.leave('a', 'ann')
      await presence.join('a', 'ann', bytes(3), LONG)
      expect(await heard.atLeast(3)).toEqual(['ann joined 1', 'ann left', 'ann joined 3'])
    })

    check('tells watchers once when the time of a member is over', async (presence, subject) => {
      const { heard } = await watch(presence, 'a')
      await presence.join('a', 'ann', bytes(1), 100)
      await presence.join('a', 'bob', bytes(1), 100)
      await presence.refresh('a', 'bob', 2000)
      await pass(subject, 1100, async () => heard.items.length >= 3)
      expect(heard.items).toEqual(['ann joined 1', 'bob joined 1', 'ann expired'])
      await presence.join('a', 'ann', bytes(2), LONG)
      await pass(subject, 2000, async () => heard.items.length >= 5)
      expect(heard.items.slice(3)).toEqual(['ann joined 2', 'bob expired'])
    })

    check(
      'tells that somebody has gone before it tells that the same has come again',
      async (presence, subject) => {
        const { heard } = await watch(presence, 'a')
        await presence.join('a', 'ann', bytes(1), 100)
        await pass(subject, 100, async () => (await presence.count('a')) === 0)
        await presence.join('a', 'ann', bytes(2), LONG)
        expect(await heard.atLeast(3)).toEqual(['ann joined 1', 'ann expired', 'ann joined 2'])
      },
    )

    check(
      'tells nothing to who has stopped watching, and survives a watcher that throws',
      async (presence, subject) => {
        const faults = new Heard<unknown>()
        subject.engine.on('fault', faults.add)
        const fail = () => {
          throw new Error('a bad watcher')
        }
        await presence.watch('a', { joined: fail, left: fail })
        const gone = await watch(presence, 'a')
        const stays = await watch(presence, 'a')
        gone.close()
        await presence.join('a', 'ann', bytes(1), LONG)
        expect(await stays.heard.atLeast(1)).toEqual(['ann joined 1'])
        expect(gone.heard.items).toEqual([])
        expect((await faults.atLeast(1)).length).toBe(1)
      },
    )

    check('refuses what is no name, info, time or handler', async presence => {
      const calls = [
        presence.join('', 'ann', bytes(), LONG),
        presence.join('a', '', bytes(), LONG),
        presence.join('a', 'm'.repeat(513), bytes(), LONG),
        presence.join('a', 'ann', 'info' as never, LONG),
        presence.join('a', 'ann', bytes(), 0),
        presence.refresh('a', 'ann', Number.NaN),
        presence.members('a', { limit: 0 }),
        presence.count('c'.repeat(513)),
        presence.watch('a', undefined as never),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'INVALID_ARGUMENTS'))
    })

    check('is unavailable once the engine is closed', async (presence, subject) => {
      const { heard } = await watch(presence, 'a')
      await subject.engine.close()
      const calls = [
        presence.join('a', 'ann', bytes(), LONG),
        presence.refresh('a', 'ann', LONG),
        presence.leave('a', 'ann'),
        presence.members('a'),
        presence.count('a'),
        presence.watch('a', { joined: () => undefined, left: () => undefined }),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'ENGINE_UNAVAILABLE'))
      expect(heard.items).toEqual([])
    })
  },
}
