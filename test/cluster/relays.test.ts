import { expect, test } from 'vitest'
import { decode, encode } from '../../src/cluster/messages.js'
import { Relays } from '../../src/cluster/relays.js'
import { pack, unpack } from '../../src/codec/packed.js'
import { virtualTime } from '../../src/testing/virtual-time.js'

const relayed = (from: string, number: number, bytes = 1) => {
  const payload = new Uint8Array(bytes)
  return { from, number, service: 'news', whom: { all: true } as const, payload, except: undefined }
}

test('a record has what came since it began and is newer than what another server had heard', () => {
  const relays = new Relays('own', () => undefined)
  relays.came(relayed('a', 1))
  const first = relays.record()
  relays.came(relayed('a', 2))
  const second = relays.record()
  relays.came(relayed('b', 7))
  const number = relays.send('news', { all: true }, new Uint8Array(1), undefined)
  relays.came(relayed('a', 3))
  const of = (recording: typeof first, heard: Record<string, number>) =>
    recording.after(heard).map(({ from, number }) => [from, number])
  expect([first.since, second.since]).toEqual([
    { a: 1, own: 0 },
    { a: 2, own: 0 },
  ])
  expect(of(first, {})).toEqual([
    ['a', 2],
    ['b', 7],
    ['own', number],
    ['a', 3],
  ])
  expect(of(first, { a: 2, b: 7, own: 0 })).toEqual([
    ['own', number],
    ['a', 3],
  ])
  first.end()
  first.end()
  expect(of(second, {})).toEqual([
    ['b', 7],
    ['own', number],
    ['a', 3],
  ])
})

test('a record is lost when there is too much, by count or by bytes, and later ones are not', () => {
  for (const [count, bytes] of [
    [10_001, 1],
    [17, 1024 * 1024],
  ] as const) {
    const relays = new Relays('own', () => undefined)
    const recording = relays.record()
    for (let number = 1; number < count; number++) relays.came(relayed('a', number, bytes === 1 ? 1 : bytes))
    if (bytes === 1) expect(recording.isLost).toBe(false)
    relays.came(relayed('a', count, bytes))
    expect([recording.isLost, recording.after({})]).toEqual([true, []])
    const later = relays.record()
    relays.came(relayed('a', count + 1))
    expect([later.isLost, later.after({}).length]).toEqual([false, 1])
  }
})

test('records that overlap without end keep no more than the oldest of them needs', () => {
  const relays = new Relays('own', () => undefined)
  let recording = relays.record()
  for (let number = 1; number <= 30_000; number++) {
    relays.came(relayed('a', number))
    if (number % 1000 > 0) continue
    const next = relays.record()
    recording.end()
    recording = next
  }
  expect(recording.isLost).toBe(false)
})

test('a server waits until it has heard as far as another, asks who is quiet, and skips who has gone', async () => {
  const time = virtualTime()
  try {
    const asked: string[] = []
    const relays = new Relays('own', node => asked.push(node))
    const isThere = (node: string) => node !== 'gone'
    expect(await time.until(relays.reach({ own: 9, gone: 5 }, 1000, isThere))).toBe(true)
    const reached = relays.reach({ a: 2, b: 1 }, 1000, isThere)
    expect(asked).toEqual(['a', 'b'])
    relays.reached('b', 1)
    relays.came(relayed('a', 2))
    expect(await time.until(reached)).toBe(true)
    const late = relays.reach({ a: 3 }, 1000, isThere)
    await time.advance(1000)
    expect(await time.until(late)).toBe(false)
  } finally {
    time.restore()
  }
})

test('a relay that is recorded does not keep the bytes that it came with', () => {
  const relays = new Relays('own', () => undefined)
  const recording = relays.record()
  const bytes = encode(['relay', 'a', 'feed', { all: true }, pack('x'), null, 1])
  const message = decode(bytes)
  if (message?.[0] !== 'relay') throw new Error('no relay')
  const [, from, service, whom, payload, , number] = message
  relays.came({ from, number, service, whom, payload, except: undefined })
  bytes.fill(0)
  expect(unpack(recording.after({})[0]!.payload)).toBe('x')
})
