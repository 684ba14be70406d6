import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Frame } from '../../src/codec/codec.js'
import { PackedTurn } from '../../src/transports/packed-turn.js'
import { bodySize, headerSize, packFrames } from '../../src/transports/websocket-frames.js'
import { RawClient, startedWs } from './ws-client.js'

function pack(turn: PackedTurn, frames: readonly [Frame, ...Frame[]]): Buffer {
  const total = frames.reduce((sum, frame) => sum + headerSize(bodySize(frame)) + bodySize(frame), 0)
  return turn.pack(frames[0], frames.length === 1 ? undefined : [...frames], total)
}

describe('What a turn packs', () => {
  const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)]

  test('is one buffer for links that send the same frames one after another', () => {
    const turn = new PackedTurn()
    expect(pack(turn, [a, b])).toBe(pack(turn, [a, b]))
    expect(pack(turn, [a])).toBe(pack(turn, [a]))
    expect(pack(turn, [a]).toString('hex')).toBe('820101')
  })

  test.each([
    ['another frame first', [b, a]],
    ['another frame last', [a, a]],
    ['one more', [a, b, a]],
    ['one less', [a]],
    ['equal bytes that are elsewhere', [a, Uint8Array.of(2)]],
  ] as [string, [Frame, ...Frame[]]][])('is not shared with a link that has %s', (_what, frames) => {
    const turn = new PackedTurn()
    const shared = pack(turn, [a, b])
    const other = pack(turn, frames)
    expect(other).not.toBe(shared)
    expect(other.equals(packFrames(frames, 0, frames.length))).toBe(true)
  })

  test('is forgotten when the turn is over', () => {
    const turn = new PackedTurn()
    const before = pack(turn, [a, b])
    turn.clear()
    expect(pack(turn, [a, b])).not.toBe(before)
  })

  test('is what each link would have packed, whatever was packed before', () => {
    const pool: Frame[] = [a, b, 'a', 'ü', new Uint8Array(200), 'b'.repeat(126)]
    const frames = fc
      .array(fc.constantFrom(...pool), { minLength: 1, maxLength: 4 })
      .map(list => list as [Frame, ...Frame[]])
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 20 }), links => {
        const turn = new PackedTurn()
        for (const list of links) {
          expect(pack(turn, list).equals(packFrames(list, 0, list.length))).toBe(true)
        }
      }),
    )
  })
})

describe('Links of ws() that send in one turn', () => {
  test('have what all are sent and what is their own, each in its order', async () => {
    const { host, port } = await startedWs()
    const clients: RawClient[] = []
    const links = []
    for (let i = 0; i < 4; i++) {
      clients.push(await new RawClient(port).upgrade().upgraded())
      links.push((await host.nextLink()).link)
    }
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)]
    links[2]!.send(Uint8Array.of(9))
    for (const frame of [one, two]) for (const link of links) link.send(frame)
    links[1]!.send(Uint8Array.of(8))
    const all = '820101820102'
    expect(await Promise.all(clients.map((client, i) => client.frames([6, 9, 9, 6][i]!)))).toEqual([
      all,
      `${all}820108`,
      `820109${all}`,
      all,
    ])
  })
})
