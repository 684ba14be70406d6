import { expect, test } from 'vitest'
import { startFleet } from './moves-support.js'

/** Somebody who watches a query and a record, and a server that writes. */
async function watched(count = 3) {
  const fleet = await startFleet(count)
  const { time, connect, servers } = fleet
  const writer = servers[count - 1]!.app.api.todos
  await time.until(writer.create({ id: 'a', text: '1' }))
  const ann = await connect('ann')
  const query = ann.api.todos.query('all')
  const record = ann.api.todos.get('b')
  query.subscribe(() => {})
  record.subscribe(() => {})
  await time.until(query.ready())
  await time.until(record.ready())
  const texts = () => query.getSnapshot()?.records.map(({ text }) => text)
  const settle = async () => {
    await time.advance(10)
    await time.settle()
  }
  return { ...fleet, ann, query, record, writer, texts, settle }
}

test('what a client watches goes on at another server', async () => {
  const { time, ann, record, writer, texts, settle } = await watched()
  for (const [turn, to] of [1, 0, 2, 1].entries()) {
    await ann.move(to)
    await time.until(writer.update('a', { text: `${turn}` }))
    await settle()
    expect([ann.client.connectionId, texts()]).toEqual([ann.id, [`${turn}`]])
  }
  expect(record.getSnapshot()).toBeNull()
  await time.until(writer.create({ id: 'b', text: 'b' }))
  await settle()
  expect([record.getSnapshot(), texts()]).toEqual([{ id: 'b', text: 'b' }, ['3', 'b']])
  // No greeting, and nothing was asked for again.
  expect(ann.sent.filter(([, message]) => (message as unknown[])[0] === 0)).toEqual([])
})

test('what has changed meanwhile is shown', async () => {
  const { time, ann, query, writer, texts } = await watched()
  await ann.away(500)
  const before = query.getSnapshot()
  await time.until(writer.create({ id: 'c', text: 'c' }))
  await ann.move(1)
  expect(texts()).toEqual(['1', 'c'])
  // What is the same stays the same object.
  expect(query.getSnapshot()!.records[0]).toBe(before!.records[0])
})

test('a server that has not heard of a change reads it before it shows anything', async () => {
  const { time, ann, connect, servers, writer, texts, query, settle } = await watched()
  const other = await connect('other', 1)
  const same = other.api.todos.query('all')
  same.subscribe(() => {})
  await time.until(same.ready())
  servers[1]!.state.isDeaf = true
  await time.until(writer.update('a', { text: '2' }))
  await settle()
  servers[1]!.state.isDeaf = false
  expect([texts(), same.getSnapshot()!.records[0]!.text]).toEqual([['2'], '1'])
  const shown: unknown[] = []
  query.subscribe(() => shown.push(texts()))
  await ann.move(1)
  await settle()
  expect(shown.filter(one => (one as string[])[0] !== '2')).toEqual([])
  expect(same.getSnapshot()!.records.map(({ text }) => text)).toEqual(['2'])
})

test('windows are told apart though their numbers were those of another server', async () => {
  const { time, ann, connect, writer, settle } = await watched()
  const other = await connect('other', 1)
  // The first window of each server has the number one.
  const first = other.api.todos.query('none')
  first.subscribe(() => {})
  await time.until(first.ready())
  const none = ann.api.todos.query('none')
  none.subscribe(() => {})
  await time.until(none.ready())
  await ann.move(1)
  await time.until(writer.create({ id: 'd', text: 'd' }))
  await settle()
  expect(none.getSnapshot()!.records).toEqual([])
  expect(ann.api.todos.query('all').getSnapshot()!.records).toHaveLength(2)
})

test('what cannot be shown there is asked for again by the client', async () => {
  const { time, ann, storage, texts, writer, settle } = await watched()
  storage.failures = 1
  await ann.move(1)
  await time.advance(31_000)
  await time.until(writer.update('a', { text: 'later' }))
  await settle()
  expect([storage.failures < 0, texts()]).toEqual([true, ['later']])
  expect(ann.sent.filter(([, message]) => (message as unknown[])[0] === 0)).toHaveLength(1)
})
