import { describe, expect, test } from 'vitest'
import { Outgoing } from '../../src/actors/outgoing.js'
import type { Codec } from '../../src/codec/codec.js'
import { json } from '../../src/codec/json.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { KIND } from '../../src/protocol/envelope.js'
import { testServer, WireClient } from '../support/wire.js'

/** A codec that counts what it encodes. */
function counting(codec: Codec): Codec & { encoded: number } {
  return {
    name: codec.name,
    binary: codec.binary,
    encoded: 0,
    encode(...envelope) {
      this.encoded++
      return codec.encode(...envelope)
    },
    decode: frame => codec.decode(frame),
  }
}

describe('an outgoing envelope', () => {
  test('is encoded once per codec, however many connections it goes to', () => {
    const first = counting(msgpack().open(new Map()))
    const second = counting(json().open(new Map()))
    const outgoing = new Outgoing(first, KIND.MESSAGE, 1, 0, { when: new Date(0), set: new Set([1n]) })
    for (let i = 0; i < 1000; i++) {
      expect(outgoing.frameFor(first)).toBe(outgoing.frameFor(first))
      expect(outgoing.frameFor(second)).toBe(
        '[0,1,{"when":{"$t":["d",0]},"set":{"$t":["s",[{"$t":["b","1"]}]]}}]',
      )
    }
    expect([first.encoded, second.encoded]).toEqual([1, 1])
  })

  test('holds the value as it was when it was sent', async () => {
    const { app, transport } = testServer()
    app.service('state', {
      server(server) {
        server.onmessage = () => {
          const state = { version: 1 }
          server.broadcast(state)
          state.version = 2
          server.broadcast(state)
        }
      },
    })
    await app.start()
    const client = await WireClient.open(transport)
    client.send([0, 1, null])
    await client.received(3)
    expect(client.frames.slice(1)).toEqual([
      [0, 1, { version: 1 }],
      [0, 1, { version: 2 }],
    ])
    await app.stop()
  })

  test('throws at its sender what cannot be encoded', () => {
    const codec = msgpack().open(new Map())
    expect(() => new Outgoing(codec, KIND.MESSAGE, 1, 0, () => 1)).toThrow('function at $ cannot be sent')
  })
})
