import { expect, test } from 'vitest'
import { startFleet } from './moves-support.js'

/** A viewer of a key, and somebody else who sends events to it. */
async function viewed(count = 3) {
  const fleet = await startFleet(count)
  const { time, connect } = fleet
  const sender = await connect('sender', count - 1)
  const add = async (by = 'x') => {
    await time.until(sender.api.count.get('k').send({ type: 'add', by }))
    await time.settle()
  }
  await add()
  const viewer = await connect('viewer')
  const actor = viewer.api.count.get('k')
  const counts: number[] = []
  actor.subscribe(() => counts.push((actor.getSnapshot() as { count: number }).count))
  await time.until(actor.ready())
  return { ...fleet, viewer, actor, add, counts }
}

test('a viewer whose connection goes on at another server keeps its view, and sees what comes', async () => {
  const { viewer, actor, add, counts } = await viewed()
  const before = actor.getSnapshot()
  for (const to of [1, 0, 2, 1]) {
    await viewer.move(to)
    // The state was the same: it is the same object.
    if (to === 1 && counts.length === 1) expect(actor.getSnapshot()).toBe(before)
    await add()
  }
  expect(viewer.client.connectionId).toBe(viewer.id)
  expect(counts).toEqual([1, 2, 3, 4, 5])
  // One whole view for each move, and one for the subscription; the rest are changes.
  expect(viewer.sent.filter(([, message]) => (message as unknown[])[1] === 0)).toHaveLength(5)
})

test('a viewer is shown what has changed while it was away', async () => {
  const { viewer, add, counts } = await viewed()
  await viewer.away(500)
  await add()
  await add()
  await viewer.move(1)
  // What waited for it, then the state: no older one after a newer one.
  expect(counts.at(-1)).toBe(3)
  expect(counts).toEqual([...counts].sort((one, other) => one - other))
})

test('a viewer is shown no older state by a server that has not heard of the newest yet', async () => {
  const { time, viewer, connect, actor, add, counts, servers } = await viewed(3)
  // This one views it already.
  const other = await connect('other', 1)
  other.api.count.get('k').subscribe(() => {})
  await time.until(other.api.count.get('k').ready())
  servers[1]!.state.isDeaf = true
  await add()
  servers[1]!.state.isDeaf = false
  expect([counts, other.api.count.get('k').getSnapshot()]).toEqual([[1, 2], { count: 1, by: 'x' }])
  await viewer.move(1)
  expect(counts).toEqual([1, 2])
  await add()
  expect(counts).toEqual([1, 2, 3])
  expect(actor.getSnapshot()).toMatchObject({ count: 3 })
})

test('a viewer that leaves on its new server is forgotten there, and its actor with it', async () => {
  const { time, viewer, add, servers } = await viewed()
  await viewer.move(1)
  viewer.client.close()
  await time.advance(200_000)
  const living = servers.flatMap(({ app }) => [
    ...(app.actors.find('/services/count/machines')?.children.keys() ?? []),
  ])
  expect(living).toEqual([])
  await add()
})

test('a viewer goes on when its server stops, also where the actor has lived there', async () => {
  const { time, viewer, connect, servers, add, counts } = await viewed()
  const own = await connect('own')
  own.api.count.get('mine').subscribe(() => {})
  await time.until(own.api.count.get('mine').ready())
  own.next(1)
  viewer.next(1)
  await time.until(servers[0]!.app.stop({ drain: 1000 }))
  await time.advance(10_000)
  expect([viewer.client.connectionId, own.client.connectionId]).toEqual([viewer.id, own.id])
  await add()
  expect(counts).toEqual([1, 2])
  await time.until(own.api.count.get('mine').send({ type: 'add', by: 'me' }))
  await time.settle()
  expect(own.api.count.get('mine').getSnapshot()).toMatchObject({ count: 1 })
})
