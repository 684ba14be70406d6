/** Runs the rows of docs/migrating-from-socket.io.md. */
import { EventEmitter } from 'node:events'
import * as socketIo from 'socket.io'
import { Socket } from 'socket.io-client'
import { describe, expect, test } from 'vitest'
import { quoted, readPage, tableRows } from '../docs/markdown.js'
import { withOurs, withSocketIo } from './socket.io-arena.js'
import { withOurClient, withSocketIoClient } from './socket.io-client-arena.js'

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

/** What the class of its client has for itself. */
const CLIENT_INTERNAL = [
  ...[
    'constructor',
    'subEvents',
    'packet',
    'onopen',
    'onerror',
    'onclose',
    'onpacket',
    'onevent',
    'emitEvent',
  ],
  ...['ack', 'onack', 'onconnect', 'emitBuffered', 'ondisconnect', 'destroy', 'notifyOutgoingListeners'],
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
  const rows = rowsOf('The client')

  test('is found', () => {
    expect(rows.length).toBeGreaterThan(25)
  })

  test.each(rows)('does the same on both sides: $theirs', async ({ theirs, ours }) => {
    const [expected, found] = await Promise.all([withSocketIoClient(theirs), withOurClient(ours)])
    const comparable = typeof expected.value === typeof found.value
    expect(comparable ? found : { ...found, value: undefined }).toEqual(
      comparable ? expected : { ...expected, value: undefined },
    )
  })

  test('tells one effect from another', async () => {
    const [emitted, once, always, nobody] = await Promise.all(
      [
        "socket.emit('hello', 'x')",
        "socket.once('said', listener)",
        "socket.on('said', listener)",
        "socket.disconnect().emit('hello', 'x')",
      ].map(withSocketIoClient),
    )
    expect(emitted).toEqual({
      value: undefined,
      heard: [],
      received: [['hello', 'x']],
      connected: ['me'],
      accepted: 1,
    })
    expect(once).toMatchObject({ heard: ['x'], received: [] })
    expect(always).toMatchObject({ heard: ['x', 'y', 'z'] })
    // Kept, and sent once it has come back.
    expect(nobody).toMatchObject({ connected: [], received: [['hello', 'x']] })
  })

  test('has each call of its client', () => {
    const told = new Set(page.slice(page.indexOf('\n## The client\n')).match(/\w+/g))
    const own = Object.getOwnPropertyNames(Socket.prototype).filter(
      name => !name.startsWith('_') && !CLIENT_INTERNAL.includes(name),
    )
    expect(own.length).toBeGreaterThan(15)
    expect(own.filter(name => !told.has(name))).toEqual([])
  })
})
