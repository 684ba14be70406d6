/** Runs the rows of docs/migrating-from-socket.io.md. */
import { EventEmitter } from 'node:events'
import * as socketIo from 'socket.io'
import { describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { quoted, readPage, tableRows } from '../docs/markdown.js'
import { testServer } from '../support/wire.js'
import { withOurs, withSocketIo } from './socket.io-arena.js'

const page = readPage('docs/migrating-from-socket.io.md')
/** Rows that have nothing but code on both sides. */
const rowsOf = (heading: string) =>
  tableRows(page, heading).flatMap(([theirs, ours]) => {
    const [one, other] = [quoted(theirs), quoted(ours)]
    return one === undefined || other === undefined ? [] : [{ theirs: one, ours: other }]
  })

/** What its classes have for themselves. */
const INTERNAL = [
  ...['constructor', 'initEngine', 'attachServe', 'serve', 'extractFilename', 'run', 'reserved', 'packet'],
  ...[
    'buildHandshake',
    'dispatch',
    'dispatchSocketUpgrade',
    'registerAckCallback',
    'notifyOutgoingListeners',
  ],
  ...['newBroadcastOperator', 'leaveAll', 'onpacket', 'onevent', 'onack', 'onerror', 'ondisconnect'],
  ...['onclose', 'onconnection'],
]

describe('a row of the page for those who come from Socket.IO', () => {
  const rows = [...rowsOf('The server'), ...rowsOf('A socket')]

  test('is found', () => {
    expect(rows.length).toBeGreaterThan(40)
  })

  test.each(rows)('does the same on both sides: $theirs', async ({ theirs, ours }) => {
    const [expected, found] = [await withSocketIo(theirs), await withOurs(ours)]
    const comparable = typeof expected.value === typeof found.value
    expect(comparable ? found : { ...found, value: undefined }).toEqual(
      comparable ? expected : { ...expected, value: undefined },
    )
  })

  test('has each call of its server and its sockets', () => {
    const calls = [socketIo.Server, socketIo.Namespace, socketIo.Socket].flatMap(({ prototype }) =>
      Object.getOwnPropertyNames(prototype),
    )
    const told = new Set(page.match(/\w+/g))
    const own = calls.filter(name => !name.startsWith('_') && !INTERNAL.includes(name))
    expect(own.length).toBeGreaterThan(60)
    expect(own.filter(name => !(name in EventEmitter.prototype) && !told.has(name))).toEqual([])
  })
})

describe('a row of the client', () => {
  const rows = tableRows(page, 'The client').flatMap(([, ours]) => quoted(ours) ?? [])

  test.each(rows)('runs: %s', async code => {
    const { app, transport } = testServer()
    app
      .service('chat', pubsub<{ said: [string] }>())
      .service('rpc', rpc({ hello: (_ctx, what: string) => what }))
    await app.start()
    const client = createClient({ url: 'memory:', transport: memoryClient(transport) })
    await client.connect()
    const listener = () => undefined
    const make = (options: object) =>
      createClient({ ...options, transport: memoryClient(transport) } as never)
    try {
      const names = ['client', 'chat', 'listener', 'createClient', 'url']
      const run = new Function(...names, `return (async () => [${code}])()`)
      const [value] = await run(client, (client.api as { chat?: unknown }).chat, listener, make, 'memory:')
      if (/===|!==/.test(code)) expect(value).toBe(true)
      if (/hello/.test(code)) expect(await value).toBe('x')
      if (/\.on\(|once\(/.test(code) && !code.endsWith('()')) expect(value).toBeTypeOf('function')
    } finally {
      client.close()
      await app.stop({ drain: 0 })
    }
  })
})
