import { afterEach, describe, expect, it, vi } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import {
  type PubSubClient,
  type PubSubOptions,
  type PubSubServer,
  pubsub,
} from '../../src/services/pubsub/index.js'
import { TestBroker } from './support.js'

interface Events {
  news: [{ t: number }]
  said: [who: string, what: string]
  ping: []
}

function start(options?: PubSubOptions) {
  const broker = new TestBroker(pubsub<Events>(options), 'chat')
  const { publish } = broker.api.chat as PubSubServer<Events>
  const connect = () => {
    const client = broker.connect()
    const api = client.api as PubSubClient<Events>
    const heard: unknown[] = []
    api.on('said', (...args) => heard.push(args))
    return { client, api, heard }
  }
  return { broker, publish, connect }
}

afterEach(() => vi.unstubAllGlobals())

describe('publishing from the server', () => {
  it('reaches everybody', () => {
    const { publish, connect } = start()
    const [a, b] = [connect(), connect()]
    publish.all('said', 'ann', 'hi')
    expect([a.heard, b.heard]).toEqual([[['ann', 'hi']], [['ann', 'hi']]])
  })

  it('reaches the subscribers of a channel', async () => {
    const { publish, connect } = start()
    const [a, b] = [connect(), connect()]
    await a.api.subscribe('room')
    publish.channel('room', 'said', 'ann', 'hi')
    expect([a.heard, b.heard]).toEqual([[['ann', 'hi']], []])
  })

  it('reaches one session or connection, and tells whether it is there', () => {
    const { publish, connect } = start()
    const [a, b] = [connect(), connect()]
    expect(publish.session('session-of-c1', 'said', 'x', '1')).toBe(1)
    expect(publish.session('nobody', 'said', 'x', '2')).toBe(0)
    expect(publish.connection('c2', 'said', 'x', '3')).toBe(true)
    expect(publish.connection('c9', 'said', 'x', '4')).toBe(false)
    expect([a.heard, b.heard]).toEqual([[['x', '1']], [['x', '3']]])
  })

  it('refuses names that are no names, and arguments that cannot be sent', () => {
    const { publish, connect } = start()
    connect()
    for (const name of ['', 'x'.repeat(257), 'a\nb', '\u0000', '\u0085', 7, undefined]) {
      const wrong = name as unknown as 'ping'
      const calls = [
        () => publish.all(wrong),
        () => publish.channel(wrong, 'ping'),
        () => publish.channel('room', wrong),
        () => publish.session('s', wrong),
        () => publish.connection('c1', wrong),
      ]
      for (const call of calls) expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENTS' }))
    }
    expect(() => publish.all('said', 'x', (() => 1) as never)).toThrow(
      expect.objectContaining({ code: 'UNENCODABLE' }),
    )
    publish.channel('ä'.repeat(256), 'ping')
  })
})

describe('listening', () => {
  it('ends with the function that `on` returns, for that listener only', () => {
    const { publish, connect } = start()
    const { api } = connect()
    const listener = vi.fn()
    const off = api.on('ping', listener)
    api.on('ping', listener)
    publish.all('ping')
    expect(listener).toHaveBeenCalledTimes(2)
    off()
    off()
    publish.all('ping')
    expect(listener).toHaveBeenCalledTimes(3)
  })

  it('once ends by itself, or before', () => {
    const { publish, connect } = start()
    const { api } = connect()
    const listener = vi.fn()
    const again = vi.fn(() => void api.once('ping', again))
    api.once('ping', listener)
    api.once('ping', again)
    api.once('ping', () => expect.unreachable())()
    publish.all('ping')
    publish.all('ping')
    expect(listener).toHaveBeenCalledTimes(1)
    expect(again).toHaveBeenCalledTimes(2)
  })

  it('that is ended by an earlier listener of the same event is not called', () => {
    const { publish, connect } = start()
    const { api } = connect()
    const later = vi.fn()
    api.on('ping', () => off())
    const off = api.on('ping', later)
    publish.all('ping')
    expect(later).not.toHaveBeenCalled()
  })

  it('goes on after a listener has thrown, whose error is not lost', () => {
    const tasks: (() => void)[] = []
    vi.stubGlobal('queueMicrotask', (task: () => void) => tasks.push(task))
    const { publish, connect } = start()
    const { api } = connect()
    const later = vi.fn()
    api.on('ping', () => {
      throw new Error('Listener')
    })
    api.on('ping', later)
    publish.all('ping')
    expect(later).toHaveBeenCalledTimes(1)
    expect(tasks).toHaveLength(1)
    expect(tasks[0]).toThrow('Listener')
  })

  it('leaves alone what it does not know', () => {
    const { broker, connect } = start()
    const { heard } = connect()
    for (const message of [null, 7, {}, [], [7], ['other', 1], ['__proto__']]) broker.broadcast(message)
    expect(heard).toEqual([])
  })
})

describe('subscribing', () => {
  it('counts: the last unsubscribe ends it', async () => {
    const { publish, connect } = start()
    const { api, client, heard } = connect()
    await Promise.all([api.subscribe('room'), api.subscribe('room')])
    expect(client.asked).toEqual(['room'])
    api.unsubscribe('room')
    publish.channel('room', 'said', 'a', '1')
    expect(client.unsubscribed).toEqual([])
    api.unsubscribe('room')
    api.unsubscribe('room')
    publish.channel('room', 'said', 'a', '2')
    expect(client.unsubscribed).toEqual(['room'])
    expect(heard).toEqual([['a', '1']])
    await api.subscribe('room')
    expect(client.asked).toEqual(['room', 'room'])
  })

  it('is asked of `canSubscribe`, at once or later', async () => {
    const canSubscribe = vi.fn((ctx: { connectionId: string }, channel: string) => {
      if (channel === 'throws') throw new SocketStreamError<string>('NOT_PAID', 'Pay first')
      if (channel === 'sync') return true
      return Promise.resolve(channel === 'async' && ctx.connectionId === 'c1')
    })
    const { connect } = start({ canSubscribe })
    const { api } = connect()
    await api.subscribe('sync')
    await api.subscribe('async')
    await expect(api.subscribe('closed')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(api.subscribe('throws')).rejects.toMatchObject({ code: 'NOT_PAID' })
    await expect(connect().api.subscribe('async')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  it.each([undefined, null, 1, 'yes', {}])('is refused when `canSubscribe` returns %j', async verdict => {
    for (const canSubscribe of [() => verdict, async () => verdict]) {
      const { api } = start({ canSubscribe: canSubscribe as never }).connect()
      await expect(api.subscribe('room')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    }
  })

  it('does not count when it is refused', async () => {
    let open = false
    const { connect, publish } = start({ canSubscribe: async () => open })
    const { api, heard, client } = connect()
    const both = [api.subscribe('room'), api.subscribe('room')]
    for (const { status } of await Promise.allSettled(both)) expect(status).toBe('rejected')
    open = true
    await api.subscribe('room')
    publish.channel('room', 'said', 'a', '1')
    expect(heard).toHaveLength(1)
    api.unsubscribe('room')
    expect(client.unsubscribed).toEqual(['room'])
  })

  it('again while a refusal is on its way is its own subscription', async () => {
    const verdicts: ((open: boolean) => void)[] = []
    const { connect } = start({ canSubscribe: () => new Promise(resolve => verdicts.push(resolve)) })
    const { api, client } = connect()
    const first = api.subscribe('room')
    api.unsubscribe('room')
    const second = api.subscribe('room')
    verdicts[0]?.(false)
    await expect(first).rejects.toMatchObject({ code: 'FORBIDDEN' })
    verdicts[1]?.(true)
    await second
    await api.subscribe('room')
    expect(client.asked).toEqual(['room', 'room'])
  })

  it.each(['', 'x'.repeat(257), 'a\tb'])('to %j is refused', async channel => {
    await expect(start().connect().api.subscribe(channel)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
    })
  })
})

describe('publishing from a client', () => {
  it('is refused without `canPublish`', async () => {
    const { connect } = start()
    const { api, heard } = connect()
    await expect(api.publish('room', 'said', 'a', 'b')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(api.publish(undefined, 'said', 'a', 'b')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(heard).toEqual([])
  })

  it('reaches a channel or everybody, the publisher too', async () => {
    const asked: unknown[] = []
    const { connect } = start({
      canPublish(ctx, channel, event, args) {
        asked.push([ctx.connectionId, ctx.session.id, ctx.clientIp, ctx.connection.id, channel, event, args])
        return channel === undefined ? Promise.resolve(true) : true
      },
    })
    const [a, b] = [connect(), connect()]
    await a.api.subscribe('room')
    expect(await a.api.publish('room', 'said', 'a', '1')).toBeUndefined()
    expect(await b.api.publish(undefined, 'said', 'b', '2')).toBeUndefined()
    expect(a.heard).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
    expect(b.heard).toEqual([['b', '2']])
    expect(asked).toEqual([
      ['c1', 'session-of-c1', '127.0.0.1', 'c1', 'room', 'said', ['a', '1']],
      ['c2', 'session-of-c2', '127.0.0.1', 'c2', undefined, 'said', ['b', '2']],
    ])
  })

  it.each([false, undefined, null, 1, 'yes', {}])(
    'is refused when `canPublish` returns %j',
    async verdict => {
      for (const canPublish of [() => verdict, async () => verdict]) {
        const { api, heard } = start({ canPublish: canPublish as never }).connect()
        await expect(api.publish(undefined, 'said', 'a', 'b')).rejects.toMatchObject({ code: 'FORBIDDEN' })
        expect(heard).toEqual([])
      }
    },
  )

  it('fails with what `canPublish` throws', async () => {
    const error = new SocketStreamError<string>('MUTED', 'You are muted')
    const { api } = start({ canPublish: () => Promise.reject(error) }).connect()
    await expect(api.publish('room', 'ping')).rejects.toBe(error)
  })

  it('is dropped when it was cancelled before `canPublish` allowed it', async () => {
    let allow = (_verdict: boolean) => {}
    const { broker, connect } = start({
      canPublish: () =>
        new Promise(resolve => {
          allow = resolve
        }),
    })
    const { heard } = connect()
    const call = broker.call(['publish', null, 'said', 'a', 'b'])
    call.cancel()
    allow(true)
    await new Promise(setImmediate)
    expect([heard, call.late]).toEqual([[], []])
  })

  it.each([
    [null, 'INVALID_ARGUMENTS'],
    ['publish', 'INVALID_ARGUMENTS'],
    [{ 0: 'publish' }, 'INVALID_ARGUMENTS'],
    [[], 'UNKNOWN_METHOD'],
    [['subscribe', 'room'], 'UNKNOWN_METHOD'],
    [['publish'], 'INVALID_ARGUMENTS'],
    [['publish', 7, 'said'], 'INVALID_ARGUMENTS'],
    [['publish', '', 'said'], 'INVALID_ARGUMENTS'],
    [['publish', null], 'INVALID_ARGUMENTS'],
    [['publish', 'room', ['said']], 'INVALID_ARGUMENTS'],
    [['publish', 'room', 'x'.repeat(257)], 'INVALID_ARGUMENTS'],
  ])('with the payload %j is refused', (payload, code) => {
    expect(start({ canPublish: () => true }).broker.call(payload).code).toBe(code)
  })
})

describe('pubsub()', () => {
  it('asks for sessions only when a hook can look at them', () => {
    expect(pubsub().use?.sessions).toBe(false)
    expect(pubsub({ canSubscribe: () => true }).use?.sessions).toBe(true)
    expect(pubsub({ canPublish: () => true }).use?.sessions).toBe(true)
  })

  it('refuses options that it does not know, and hooks that are no functions', () => {
    const wrong = [{ cansubscribe: () => false }, { canSubscribe: true }, { canPublish: null }]
    for (const options of wrong) {
      expect(() => pubsub(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })
})
