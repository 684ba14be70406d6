import { expect, test } from 'vitest'
import { machineCluster } from './machine-cluster-support.js'

/** An actor of some 10 kB that lives on one server, and is viewed on another one. */
async function far() {
  const text = 'x'.repeat(100)
  const rows = Array.from({ length: 90 }, (_, at) => ({ at, text }))
  const cluster = machineCluster({
    project: (({ context }: { context: { count: number } }) => ({ count: context.count, rows })) as never,
  })
  const { time, engine, start } = cluster
  const [home, other] = [await start('home'), await start('other')]
  await time.advance(100)
  const sender = (await home.connect()).get('a')
  await time.until(sender.send({ type: 'add', by: 'x' }))
  const viewer = (await other.connect()).get('a')
  viewer.subscribe(() => {})
  await time.until(viewer.ready())
  await time.settle()
  const sent = { bytes: 0 }
  const send = engine.bus.send.bind(engine.bus)
  engine.bus.send = (node, bytes, ...rest) => {
    sent.bytes += bytes.length
    return send(node, bytes, ...rest)
  }
  const count = () => (viewer.getSnapshot() as unknown as { count: number }).count
  const add = async () => {
    await time.until(sender.send({ type: 'add', by: 'x' }))
    await time.settle()
  }
  return { time, other, sent, add, count, viewer, rows }
}

test('a server with viewers is told what has changed, not the whole', async () => {
  const { sent, add, count, viewer, rows } = await far()
  for (let turn = 0; turn < 20; turn++) await add()
  expect(count()).toBe(21)
  expect(viewer.getSnapshot()).toEqual({ count: 21, rows })
  // 20 wholes are over 200 kB.
  expect(sent.bytes).toBeLessThan(10_000)
})

test('a server that has missed a change asks for the whole with the next one', async () => {
  const { other, sent, add, count, viewer, rows } = await far()
  other.state.isDeaf = true
  await add()
  other.state.isDeaf = false
  expect(count()).toBe(1)
  sent.bytes = 0
  await add()
  // At once: no time has passed in which it would have been made up for.
  expect(viewer.getSnapshot()).toEqual({ count: 3, rows })
  expect(sent.bytes).toBeGreaterThan(10_000)
  sent.bytes = 0
  await add()
  expect([count(), sent.bytes < 1000]).toEqual([4, true])
})
