import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Middleware, MiddlewareHost } from '../../src/middleware/middleware.js'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { memory } from '../../src/transports/memory.js'

const transport = memory()
const make = (options: object): Server => new Server({ transport, ...options } as ServerOptions)

describe('new Server()', () => {
  test.each([
    ['no object', undefined, 'new Server() takes an object'],
    ['an unknown option', { transport, prot: 1 }, 'there is no option `prot`'],
    ['no transport', {}, "give import { ws } from 'socketstream-server/transports/ws'"],
    ['an empty list of transports', { transport: [] }, '`transport` is an empty list'],
    ['something that is no transport', { transport: { port: 1 } }, '`transport` must be a transport'],
    [
      'a relative root',
      { transport, root: 'app' },
      '`root` must be an absolute path; give root: import.meta.dirname',
    ],
    [
      'a root that is not there',
      { transport, root: '/no/such/folder' },
      '`root` does not exist: /no/such/folder',
    ],
    ['a store without set', { transport, sessionStore: { get() {} } }, '`sessionStore` has no set()'],
    [
      'cacheSessions that is no boolean',
      { transport, cacheSessions: 1 },
      '`cacheSessions` must be true, false or bounds',
    ],
    ['textWire that is no boolean', { transport, textWire: 'yes' }, '`textWire` must be true or false'],
    ['sessions that are no object', { transport, sessions: 'secret' }, '`sessions` must be an object'],
    ['an empty secret', { transport, sessions: { secret: '' } }, '`sessions.secret` must be a text'],
    [
      'an impossible cookie name',
      { transport, sessions: { name: 'a b' } },
      '`sessions.name` must be a cookie name',
    ],
    ['a log without levels', { transport, log: { info() {} } }, '`log` must be a function or a logger'],
    ['events that emit nothing', { transport, events: {} }, '`events` must be an EventEmitter'],
    ['an env that is no string', { transport, env: true }, '`env` must be a string'],
    ['an unknown limit', { transport, limits: { cals: 1 } }, 'there is no limit `limits.cals`'],
    [
      'a limit of nothing',
      { transport, limits: { calls: 0 } },
      '`limits.calls` must be a positive whole number',
    ],
    ['less room than a frame', { transport, limits: { inboundBytes: 5 } }, 'at least `limits.maxFrame`'],
  ])('refuses %s and says what to give', (_what, options, message) => {
    let caught: unknown
    try {
      new Server(options as never)
    } catch (error) {
      caught = error
    }
    expect(caught).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(message) })
  })

  test('takes every option', () => {
    const events = new EventEmitter()
    const server = make({
      root: import.meta.dirname,
      cacheSessions: false,
      sessions: { secret: ['new', 'old'], name: 'sid' },
      log: () => {},
      events,
      env: 'production',
      textWire: true,
      limits: { calls: 10 },
    })
    expect(server.events).toBe(events)
  })
})

describe('service()', () => {
  test.each([
    '',
    'Chat',
    '1chat',
    'a-name-too-long',
    '_chat',
    'chat room',
    'then',
    'constructor',
    'prototype',
  ])('refuses the name %j', name => {
    expect(() => make({}).service(name, {})).toThrow('must have 1 to 12 characters a-z')
  })

  test.each(['a', 'chat', 'a-b_c9', 'twelve-chars'])('takes the name %j', name => {
    expect(() => make({}).service(name, {})).not.toThrow()
  })

  test('refuses a name twice', () => {
    expect(() => make({}).service('chat', {}).service('chat', {})).toThrow(
      'there is a service "chat" already',
    )
  })

  test('refuses what is no definition', () => {
    expect(() => make({}).service('chat', null as never)).toThrow('service "chat" needs a definition')
    expect(() => make({}).service('chat', { server: 1 } as never)).toThrow('`server` of service "chat"')
    expect(() => make({}).service('chat', { client: 1 } as never)).toThrow('`client` of service "chat"')
  })

  test('comes before start()', async () => {
    const server = new Server({ transport: memory() })
    await server.start()
    expect(() => server.service('late', {})).toThrow(
      'service() must come before start(); this server is started',
    )
    expect(() => server.use(() => {})).toThrow('use() must come before start()')
    await expect(server.start()).rejects.toMatchObject({ code: 'INVALID_STATE' })
    await server.stop()
  })
})

describe('use()', () => {
  test('refuses what is no function, and a factory that returns none', () => {
    expect(() => make({}).use('x' as never)).toThrow('use() takes a function (req, res, next) or a factory')
    expect(() => make({}).use(((_server: unknown) => 1) as never)).toThrow(
      'a middleware factory must return a function',
    )
  })

  test('calls a function of one parameter with the server', () => {
    let given: unknown
    const server = make({})
    server.use((app: MiddlewareHost): Middleware => {
      given = app
      return (_req, _res, next) => next()
    })
    expect(given).toBe(server)
  })
})
