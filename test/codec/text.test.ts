import { describe, expect, it } from 'vitest'
import { text } from '../../src/codec/text.js'
import { KIND } from '../../src/protocol/envelope.js'

const services = new Map([
  [1, { id: 1, json: true, callbacks: true }],
  [2, { id: 2, json: false, callbacks: false }],
  [3, { id: 3, json: false, callbacks: true }],
  [4, { id: 4, json: true, callbacks: false }],
  [5000, { id: 5000, json: true, callbacks: true }],
])
const open = () => text().open(services)
const codec = open()
const refusal = expect.objectContaining({ code: 'BAD_FRAME' })

describe('the text wire', () => {
  it.each([
    ['2|hello', 2, 'hello'],
    ['2|a|b|c', 2, 'a|b|c'],
    ['2|', 2, ''],
    ['4|{"a":1}', 4, { a: 1 }],
    ['1||[1,2]', 1, [1, 2]],
    ['3||raw|text', 3, 'raw|text'],
    ['999999|who|knows', 999_999, 'who|knows'],
  ])('reads %s as a message', (frame, service, payload) => {
    expect(codec.decode(frame)).toMatchObject({ kind: KIND.MESSAGE, flags: 0, service, id: 0, payload })
  })

  it.each([
    ['1|7|["add",1,2]', 1, (7 * 4096 + 1) * 2 + 1, ['add', 1, 2]],
    ['3|0|raw', 3, 7, 'raw'],
    ['1|999999999|null', 1, (999_999_999 * 4096 + 1) * 2 + 1, null],
    ['0|3|{"c":"other"}', 0, 3 * 8192 + 1, { c: 'other' }],
  ])('reads %s as a call, whose answer goes back under its callback id', (frame, service, id, payload) => {
    expect(codec.decode(frame)).toMatchObject({ kind: KIND.CALL, service, id, payload })
    expect(codec.encode(KIND.REPLY, 0, id, 'yes')).toBe(
      `${frame.split('|').slice(0, 2).join('|')}|${service === 3 ? 'yes' : '"yes"'}`,
    )
  })

  it.each([
    '',
    '|',
    'x|',
    '2',
    '-1|a',
    '01|a',
    '1.5|a',
    ' 2|a',
    '1234567|a',
    '1|7',
    '1|x|1',
    '1|-1|1',
    '1|07|1',
    '1|1234567890|1',
    '5000|1|1',
    '0|1|{',
    '0||7',
    '0|1|null',
  ])('refuses %j', frame => {
    expect(() => codec.decode(frame)).toThrow(refusal)
  })

  it('refuses bytes', () => {
    expect(() => codec.decode(Uint8Array.of(1))).toThrow(refusal)
  })

  it('reads the header though the payload is malformed', () => {
    const envelope = codec.decode('1|7|{')
    expect(envelope).toMatchObject({ kind: KIND.CALL, service: 1 })
    expect(() => envelope.payload).toThrow(refusal)
  })

  it('writes messages and publications with an empty callback field where the service has one', () => {
    expect(codec.encode(KIND.MESSAGE, 1, 0, ['news', 1])).toBe('1||["news",1]')
    expect(codec.encode(KIND.MESSAGE, 2, 0, 'a|b')).toBe('2|a|b')
    expect(codec.encode(KIND.PUBLICATION, 4, 77, new Date(5))).toBe('4|"1970-01-01T00:00:00.005Z"')
    expect(codec.encode(KIND.PUBLICATION, 3, 77, 'raw')).toBe('3||raw')
    expect(codec.encode(KIND.MESSAGE, 2, 0, Buffer.from('é'))).toBe('2|é')
  })

  it('refuses to send anything but strings to a service without JSON', () => {
    for (const payload of [1, null, {}, undefined]) {
      expect(() => codec.encode(KIND.MESSAGE, 2, 0, payload)).toThrow(
        expect.objectContaining({ code: 'UNENCODABLE' }),
      )
    }
  })

  it('takes the connect command for hello and answers it with the welcome', () => {
    const one = open()
    const other = open()
    expect(one.decode('0|9|{"c":"connect","sessionId":"abc"}')).toMatchObject({
      kind: KIND.HELLO,
      service: 0,
      id: 0,
      payload: { v: 1, caps: [], session: 'abc' },
    })
    expect(other.decode('0|4|{"c":"connect"}').payload).toStrictEqual({ v: 1, caps: [] })
    expect(one.encode(KIND.WELCOME, 0, 0, { session: 'abc' })).toBe('0|9|{"version":"1.0","sessionId":"abc"}')
    expect(other.encode(KIND.WELCOME, 0, 0, { session: 's' })).toBe('0|4|{"version":"1.0","sessionId":"s"}')
  })

  it('passes the value of a cookie on as such', () => {
    expect(open().decode('0|9|{"c":"connect","sessionId":"s:abc.x"}').payload).toStrictEqual({
      v: 1,
      caps: [],
      auth: { session: 's:abc.x' },
    })
  })

  it('says errors on service 0', () => {
    expect(codec.encode(KIND.ERROR, 0, 7, { code: 'TIMEOUT', message: 'late', data: 1 })).toBe(
      '0||{"type":"error","message":"late","code":"TIMEOUT"}',
    )
  })

  it('ends a stream by answering its call', () => {
    expect(codec.encode(KIND.END, 0, (7 * 4096 + 1) * 2 + 1, null)).toBe('1|7|null')
    expect(codec.encode(KIND.END, 0, (7 * 4096 + 3) * 2 + 1, null)).toBe('3|7|')
  })

  it('gives the empty frame for what it has no words for', () => {
    for (const kind of [
      'ITEM',
      'CANCEL',
      'CREDIT',
      'TOPIC',
      'ACK',
      'PING',
      'PONG',
      'GO_AWAY',
      'CLOSE',
      'NEXT',
    ] as const) {
      expect(codec.encode(KIND[kind], 1, 7, 1)).toBe('')
    }
  })

  it('refuses to call the client', () => {
    expect(() => codec.encode(KIND.CALL, 1, 2, 'x')).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }))
  })
})
