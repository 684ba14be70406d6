import { expect, test } from 'vitest'
import type { Member, PresenceHandler } from '../../src/engines/presence.js'
import { infoOf, nameOf } from '../../src/services/presence/stay.js'
import { Views } from '../../src/services/presence/views.js'

const PAGE = 1000

function entry(user: string): Member {
  const stay = { user, device: 'device-1', revision: 1, node: 'n' }
  return { member: nameOf(stay), info: infoOf({ away: false, meta: null }) }
}

/** Views of an engine whose answers wait until they are let go, and timers that do until they are fired. */
function setUp() {
  const reads: { channel: string; answer(members: Member[]): void; fail(): void }[] = []
  const handlers = new Map<string, PresenceHandler>()
  const timers: (() => void)[] = []
  const warnings: string[] = []
  const presence = {
    watch: async (channel: string, handler: PresenceHandler) => {
      handlers.set(channel, handler)
      return { close() {} }
    },
    members: (channel: string) =>
      new Promise<Member[]>((answer, reject) => {
        reads.push({ channel, answer, fail: () => reject(new Error('down')) })
      }),
  }
  const views = new Views(
    {
      presence: presence as never,
      log: { warn: (text: string) => void warnings.push(text) } as never,
      interval: 0,
      maxListed: PAGE,
      send() {},
      after(_ms, callback) {
        timers.push(callback)
        return () => undefined
      },
    },
    channel => channel,
    () => undefined,
  )
  const settle = () => new Promise(resolve => setImmediate(resolve))
  /** Lets go of all reads that have begun. */
  const answer = async (members: Member[] = []) => {
    for (const read of reads.splice(0)) read.answer(members)
    await settle()
  }
  return { views, reads, handlers, timers, warnings, settle, answer }
}

test('a few channels at a time are read again, each once, and those first that are asked for', async () => {
  const { views, reads, handlers, settle, answer } = setUp()
  const names = Array.from({ length: 100 }, (_, i) => `c${i}`)
  const opened = names.map(name => views.use(name))
  const ready = opened.map(view => view.ready())
  await settle()
  await answer()
  await Promise.all(ready)
  views.reload()
  views.reload()
  for (const name of names) handlers.get(name)!.gap!()
  await settle()
  const first = reads.length
  expect(first).toBeLessThanOrEqual(16)
  const asked = opened[99]!.ready()
  await settle()
  expect(reads.at(-1)!.channel).toBe('c99')
  const read: string[] = []
  let most = 0
  while (reads.length > 0) {
    most = Math.max(most, reads.length)
    read.push(...reads.map(({ channel }) => channel))
    await answer()
  }
  await asked
  expect(most).toBeLessThanOrEqual(17)
  // Those that were being read when it was told again are read once more.
  const times = names.map(name => read.filter(each => each === name).length)
  expect(times.filter(each => each > 1).length).toBeLessThanOrEqual(16)
  expect(Math.min(...times)).toBe(1)
  views.close()
})

test('a channel that could not be read again is tried again later', async () => {
  const { views, reads, timers, warnings, settle, answer } = setUp()
  const view = views.use('a')
  const ready = view.ready()
  await settle()
  await answer([entry('ann'), entry('bob')])
  await ready
  views.reload()
  await settle()
  for (const read of reads.splice(0)) read.fail()
  await settle()
  expect([reads.length, warnings, view.count]).toEqual([0, ['the members of a cannot be read'], 2])
  for (const fire of timers.splice(0)) fire()
  await settle()
  await answer([entry('ann')])
  expect([view.count, view.has('bob')]).toEqual([1, false])
  views.close()
})

test('a channel of which it is told twice that it has to be read again is right in the end', async () => {
  const { views, reads, handlers, warnings, settle, answer } = setUp()
  const view = views.use('a')
  const ready = view.ready()
  await settle()
  await answer([entry('ann'), entry('bob')])
  await ready
  views.reload()
  await settle()
  // As when an engine is back: `gap`, then `up`.
  views.reload()
  await settle()
  reads.shift()!.answer([entry('ann'), entry('bob')])
  await settle()
  handlers.get('a')!.left(entry('bob'), 'left')
  await answer([entry('ann'), entry('eve')])
  expect(['ann', 'bob', 'eve'].filter(user => view.has(user))).toEqual(['ann', 'eve'])
  expect(warnings).toEqual([])
  views.close()
})
