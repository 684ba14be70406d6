import { describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import type { Frame } from '../../src/codec/codec.js'
import { json } from '../../src/codec/json.js'
import { json as portableJson } from '../../src/codec/json-portable.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { msgpack as portableMsgpack } from '../../src/codec/msgpack-portable.js'
import { CLOSE_CODES, mayReconnect } from '../../src/errors.js'
import { HEADER, HEADERS, isCounted, KIND, LIMITS, SUBPROTOCOLS } from '../../src/protocol/envelope.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { golden } from '../codec/golden.js'
import { testServer, WireClient } from '../support/wire.js'
import { blocksOf, quoted, readPage, tableRows } from './markdown.js'

const page = readPage('docs/protocol.md')
const open = (factory: typeof json) => factory().open(new Map())
const texts = [open(json), open(portableJson)]
const binaries = [open(msgpack), open(portableMsgpack)]

const kinds = Object.entries(KIND).filter((entry): entry is [string, number] => typeof entry[1] === 'number')

describe('the golden bytes of the protocol page', () => {
  const rows = tableRows(page, 'Golden bytes')
    .map(([what, text, bytes]) => ({ what, text: quoted(text), bytes: quoted(bytes) }))
    .filter(row => row.bytes !== undefined)

  test.each(rows)('of $text are those of both codecs, $what', ({ text = '', bytes = '' }) => {
    const frame = Buffer.from(bytes.replaceAll(' ', ''), 'hex')
    for (const read of [...texts.map(codec => codec.decode(text)), ...binaries.map(c => c.decode(frame))]) {
      const { kind, flags, service, id, payload, extensions } = read
      const parts = [kind | flags, service, id, payload, extensions] as const
      for (const codec of texts) expect(codec.encode(...parts)).toBe(text)
      for (const codec of binaries) {
        expect(Buffer.from(codec.encode(...parts) as Uint8Array).toString('hex')).toBe(frame.toString('hex'))
      }
    }
  })

  test('have every row of the codec tests, and every kind', () => {
    const listed = rows.map(({ what, text, bytes }) => `${quoted(what)} ${text} ${bytes}`)
    expect(listed).toEqual(
      expect.arrayContaining(golden.map(([kind, , , , bytes, text]) => `${kind} ${text} ${bytes}`)),
    )
    expect(
      new Set(rows.map(({ what }) => quoted(what)).filter(name => /^[A-Z_]+$/.test(name ?? ''))),
    ).toEqual(new Set(kinds.map(([name]) => name)))
  })
})

describe('the tables of the protocol page', () => {
  test('have every kind, with its header and whether it is counted', () => {
    const rows = tableRows(page, 'Kinds').slice(1)
    expect(
      rows.map(([kind, name, array, , , counted]) => [kind, quoted(name), quoted(array), counted]),
    ).toEqual(kinds.map(([name, kind]) => [`${kind}`, name, arrayOf(kind), isCounted(kind) ? 'yes' : 'no']))
  })

  test('have every close code, and whether a client may come back', () => {
    const rows = tableRows(page, 'Closing').slice(1)
    expect(rows.map(([code, name, again]) => [Number(code), quoted(name), again])).toEqual(
      Object.entries(CLOSE_CODES).map(([name, code]) => [code, name, mayReconnect(code) ? 'yes' : 'no']),
    )
  })

  test('have every field of the welcome and its service table', async () => {
    const { app, transport } = testServer()
    app.service('rpc', rpc({}))
    await app.start()
    const client = await WireClient.open(transport)
    const fields = tableRows(page, 'Hello and welcome').flatMap(([field, type]) =>
      type === '' ? [] : (quoted(field) ?? []),
    )
    const [line] = client.welcome.services
    expect(fields).toEqual(expect.arrayContaining(Object.keys(client.welcome)))
    expect(fields).toEqual(expect.arrayContaining(Object.keys(line!)))
    const resumes = ['resume', 'token', 'reason']
    const known = [
      'v',
      'caps',
      'session',
      'auth',
      ...resumes,
      ...Object.keys(client.welcome),
      ...Object.keys(line!),
    ]
    expect(fields.filter(field => !known.includes(field))).toEqual([])
    await app.stop()
  })

  test('have the subprotocols and the limits', () => {
    for (const name of Object.values(SUBPROTOCOLS)) expect(page).toContain(`| \`${name}\``)
    const limits = tableRows(page, 'Limits and names').map(([, limit]) => limit)
    expect(limits).toEqual(expect.arrayContaining([`${LIMITS.depth}`, LIMITS.elements.toLocaleString('en')]))
  })
})

test('the example session of the protocol page is what a server says', async () => {
  const { app, transport } = testServer({ env: 'production', limits: { credit: 2 } })
  app
    .service(
      'rpc',
      rpc({
        add: (_ctx, a: number, b: number) => a + b,
        *count(_ctx, to: number) {
          for (let i = 0; i < to; i++) yield i
        },
        wait: () => new Promise(() => {}),
      }),
    )
    .service('chat', pubsub({ canPublish: () => true }))
  await app.start()
  const client = await WireClient.silent(transport)
  let seen = 0
  for (const line of linesOf('session')) {
    if (line.startsWith('C ')) client.send(line.slice(2))
    else {
      const expected = JSON.stringify(JSON.parse(line.slice(2)))
      expect(JSON.stringify(await client.received(++seen))).toMatch(like(expected))
    }
  }
  expect(await client.ended()).toMatchObject({ code: 1000 })
  expect(client.frames).toHaveLength(seen)
  await app.stop()
})

test('the example of calls of the server is what both ends say', async () => {
  const [first, answer, second, refusal] = linesOf('session-calls').map(line => line.slice(2))
  const { app, transport } = testServer({ env: 'production' })
  const served = app
    .service('rpc', rpc({}))
    .service('chat', pubsub<Record<string, never[]>, { vote: (what: string) => boolean }>())
  await served.start()
  const wire = await WireClient.open(transport)
  const [connection] = served.connections()
  const vote = () => connection!.call(served.api.chat, 'vote', 'Tea?')
  const [one, two] = [vote(), vote()]
  expect(await wire.received(2)).toEqual(JSON.parse(first!))
  expect(await wire.received(3)).toEqual(JSON.parse(second!))
  wire.send(answer!)
  wire.send(refusal!)
  expect(await one).toBe(true)
  await expect(two).rejects.toMatchObject({ code: 'UNKNOWN_METHOD', message: 'No answer' })

  const said: unknown[] = []
  const links = memoryClient(transport)
  const client = createClient({
    url: 'memory:',
    codec: portableJson(),
    resume: false,
    transport: {
      open(...args) {
        const link = links.open(...args)
        const send = (frame: Frame) => said.push(frame) && link.send(frame)
        return { send, close: (code, reason) => link.close(code, reason) }
      },
    },
  })
  await client.connect()
  const call = served.api.chat.call(client.connectionId!, 'vote', 'Tea?')
  await expect(call).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
  expect(said.at(-1)).toBe(refusal!.replace('[3,4,', '[3,2,'))
  client.close()
  await app.stop()
})

test('the example in hex is the same as in JSON', () => {
  const lines = linesOf('session-hex')
  expect(lines.length).toBe(3)
  for (const line of lines) {
    const [, bytes = '', text = ''] = /^[CS] ([0-9a-f ]+?) {2,}(\[.*)$/.exec(line) ?? []
    const { kind, service, id, payload } = texts[0]!.decode(text)
    for (const codec of binaries) {
      const frame = Buffer.from(codec.encode(kind, service, id, payload) as Uint8Array)
      expect(frame.toString('hex')).toBe(bytes.replaceAll(' ', ''))
    }
    expect(linesOf('session')).toContain(`${line[0]} ${text}`)
  }
})

/** The frame of a kind, as the page writes it. */
function arrayOf(kind: number): string {
  const layout = HEADERS[kind]!
  const isTopic = kind === KIND.PUBLICATION || kind === KIND.TOPIC
  const isCode = kind === KIND.GO_AWAY || kind === KIND.CLOSE
  const service = layout & HEADER.SERVICE ? 'svc, ' : ''
  const id = layout & HEADER.ID ? `${isTopic ? 'topic' : isCode ? 'code' : 'id'}, ` : ''
  return `[${kind}, ${service}${id}p]`
}

/** The lines of a block, without comments and blank ones. */
function linesOf(language: string): string[] {
  const code = blocksOf(page).find(block => block.language === language)?.code ?? ''
  return code.split('\n').filter(line => /^[CS] /.test(line))
}

/** An expression for a text in which `…` stands for any other. */
function like(text: string): RegExp {
  const parts = text.split('…').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^"]+')}$`)
}
