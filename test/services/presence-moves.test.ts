import { describe, expect, test } from 'vitest'
import { GRACE, startFleet } from './moves-support.js'
import { seen } from './presence-support.js'

/** A member, and somebody who watches it from another server. */
async function room(count = 3) {
  const fleet = await startFleet(count)
  const { time, connect } = fleet
  const watcher = await connect('watcher', count - 1)
  const shown = watcher.api.presence.watch('room')
  await time.until(shown.ready)
  const looks: string[] = []
  shown.subscribe(() => looks.push(seen(shown)))
  const ann = await connect('ann')
  await time.until(ann.api.presence.join('room', 'a'))
  await time.settle()
  const entries = async () => (await time.until(fleet.engine.presence.members('presence:room'))).length
  return { ...fleet, ann, watcher, shown, looks, entries }
}

describe('a member whose connection goes on at another server', () => {
  test('neither leaves nor joins, there and back', async () => {
    const { time, ann, shown, looks, heard, servers, entries } = await room()
    for (const to of [1, 0, 2, 0]) {
      await ann.move(to)
      expect(ann.client.connectionId).toBe(ann.id)
      expect(await time.until(servers[to]!.app.api.presence.count('room'))).toBe(1)
      expect([seen(shown), await entries()]).toEqual(['ann(a)', 1])
    }
    // No greeting either: it has been asked nothing again.
    expect(ann.sent).toEqual([])
    expect(looks.filter(look => !look.startsWith('ann('))).toEqual([])
    expect(heard).toEqual(['ann joined room'])
  })

  test('is renewed by that one for as long as it is there, and leaves from there', async () => {
    const { time, ann, shown, heard } = await room()
    await ann.move(1)
    // Twice the time for which it was entered.
    await time.advance(60_000)
    expect([seen(shown), ...heard]).toEqual(['ann(a)', 'ann joined room'])
    await time.until(ann.api.presence.leave('room'))
    await time.advance(10)
    expect([seen(shown), ...heard]).toEqual(['', 'ann joined room', 'ann left room'])
  })

  test('is missed once when it is lost there', async () => {
    const { time, ann, shown, heard } = await room()
    await ann.move(1)
    ann.client.close()
    await time.advance(GRACE + 1000)
    expect([seen(shown), ...heard]).toEqual(['', 'ann joined room', 'ann left room'])
    await time.advance(60_000)
    expect(heard).toHaveLength(2)
  })

  test('is missed once when that server dies', async () => {
    const { time, ann, shown, heard, servers } = await room()
    await ann.move(1)
    servers[1]!.state.isCut = true
    await time.advance(60_000)
    expect([seen(shown), ...heard]).toEqual(['', 'ann joined room', 'ann left room'])
    servers[1]!.state.isCut = false
  })

  test('leaves and joins when it comes after its grace', async () => {
    const { time, ann, shown, heard } = await room()
    await ann.away(GRACE + 1000)
    expect([seen(shown), ...heard]).toEqual(['', 'ann joined room', 'ann left room'])
    await ann.move(1)
    await time.advance(10)
    expect(seen(shown)).toBe('ann(a)')
    expect(heard).toEqual(['ann joined room', 'ann left room', 'ann joined room'])
    expect(ann.client.connectionId).toBe(ann.id)
  })

  test('goes on when its server stops', async () => {
    const { time, ann, shown, heard, servers } = await room()
    ann.next(1)
    await time.until(servers[0]!.app.stop({ drain: 1000 }))
    await time.advance(100)
    expect([ann.client.status, ann.client.connectionId]).toEqual(['connected', ann.id])
    await time.advance(60_000)
    expect([seen(shown), ...heard]).toEqual(['ann(a)', 'ann joined room'])
    expect(ann.sent).toEqual([])
  })

  test('can be taken out there', async () => {
    const { time, ann, shown, servers } = await room()
    await ann.move(1)
    await time.until(servers[0]!.app.api.presence.remove('room', 'ann'))
    await time.advance(10)
    expect([seen(shown), ann.sent.at(-1)]).toEqual(['', ['presence', [-1, 'room']]])
  })
})

describe('a watcher whose connection goes on at another server', () => {
  test('asks again, as versions are those of one server, and sees all', async () => {
    const { time, ann, watcher, shown, connect } = await room()
    // Another channel has the number there that this one has here.
    const other = await connect('other', 1)
    await time.until(other.api.presence.watch('elsewhere').ready)
    await watcher.move(1)
    await time.until(shown.ready)
    expect([shown.getSnapshot().ready, seen(shown)]).toEqual([true, 'ann(a)'])
    await time.until(ann.api.presence.join('room', 'b'))
    await time.until(other.api.presence.join('elsewhere', 'x'))
    await time.advance(10)
    expect(seen(shown)).toBe('ann(b)')
    expect(watcher.sent.filter(([, message]) => (message as number[])[0] === 0)).toEqual([])
  })
})
