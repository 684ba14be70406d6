/** What PubSub does with rooms, users, subscriptions of the server and listeners, on a real server. */
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import type { ServerOptions } from '../../src/options.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import {
  type PubSubContext,
  type PubSubServer,
  pubsub,
  type Recovered,
} from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { Connection } from '../../src/services/service.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import type { MemoryClientLink } from '../../src/transports/memory.js'
import { testServer, WireClient } from '../support/wire.js'

type Events = { said: [what: string]; moved: [x: number, y: number] }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const canPublish = () => true
const plain = () => pubsub<Events>({ canPublish })
const CHANNELS = {
  'kept:*': { history: { size: 100 } },
  'inbox:*': { private: true, history: { size: 10 } },
  'closed:*': { history: { size: 10 }, canSubscribe: () => false },
}
const withChannels = () => pubsub<Events>({ canPublish, channels: CHANNELS })

async function start(options: Partial<ServerOptions> = {}, log = withChannels()) {
  const made = testServer(options)
  const app = made.app
    .service('chat', plain())
    .service('log', log)
    .service(
      'rpc',
      rpc({
        enter: (ctx, ...rooms: string[]) => ctx.connection.join(rooms),
        async login(ctx, user: string | null) {
          if (user === null) delete ctx.session.user
          else ctx.session.user = user
        },
        others: (ctx, what: string) =>
          (ctx.services.chat as PubSubServer<Events>).except(ctx.connectionId).emit('said', what),
      }),
    )
  await app.start()
  cleanups.push(() => app.stop({ drain: 0 }))
  const connect = async (settings: { user?: string } = {}) => {
    const links: MemoryClientLink[] = []
    const transport = memoryClient({
      connect: async options => {
        const headers = settings.user === undefined ? {} : { headers: { user: settings.user } }
        const link = await made.transport.connect({ ...options, ...headers })
        links.push(link)
        return link
      },
    })
    const client = createClient<typeof app>({
      url: 'memory:',
      transport,
      services: { log: channelsClient },
      reconnect: { minDelay: 1, maxDelay: 1 },
      resume: false,
    })
    cleanups.push(() => client.close())
    const opened = once(app.events, 'client:connect') as Promise<[string, Connection]>
    await client.connect()
    const [id, connection] = await opened
    const heard: unknown[] = []
    const { chat, log, rpc } = client.api
    chat.on('said', what => heard.push(what))
    chat.on('moved', (x, y) => heard.push([x, y]))
    log.on('said', what => heard.push(`log ${what}`))
    /** Answers come after what was sent before. */
    const settled = async () => {
      await rpc.enter('settled')
      return heard.splice(0)
    }
    /** Loses the connection, and waits for the next one. */
    const lose = async () => {
      const back = once(app.events, 'client:connect')
      links.at(-1)?.close(4500, 'cut')
      await back
    }
    return { client, chat, log, rpc, id, connection, heard, settled, lose }
  }
  return { ...made, app, api: app.api, connect }
}

const authenticate: ServerOptions['authenticate'] = ({ headers }) =>
  headers.user === undefined ? undefined : { id: headers.user }

describe('to()', () => {
  test('emits to rooms that handlers have put their clients into', async () => {
    const { api, connect } = await start()
    const [a, b, c] = [await connect(), await connect(), await connect()]
    await a.rpc.enter('red')
    await b.rpc.enter('red', 'blue')
    expect(api.chat.to('red').to('blue').except(a.id).emit('moved', 1, 2)).toBe(1)
    expect(api.chat.to('red').emit('said', 'red')).toBe(2)
    expect(await c.rpc.others('other')).toBe(2)
    expect(await a.settled()).toEqual(['red', 'other'])
    expect(await b.settled()).toEqual([[1, 2], 'red', 'other'])
    expect(await c.settled()).toEqual([])
  })

  test('is the same for every service, and refuses names that are none', async () => {
    const { api, connect } = await start()
    const a = await connect()
    api.chat.except([]).join('red')
    expect(api.log.to('red').emit('said', 'x')).toBe(1)
    expect(api.log.to('red').size).toBe(1)
    expect(api.log.to('red').connections()).toEqual([a.connection])
    expect(() => api.chat.to('red').emit('' as 'said', 'x')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
    )
    expect(() => api.chat.to('')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENTS' }))
    api.chat.to('red').leave('red')
    expect(await a.settled()).toEqual(['log x'])
    expect(api.chat.to(a.id).disconnect()).toBe(1)
    expect(a.connection.open).toBe(false)
  })
})

describe('publish.user', () => {
  test('reaches those that `authenticate` has named, and no others', async () => {
    const { api, connect } = await start({ authenticate })
    const [a, b, c] = [
      await connect({ user: '7' }),
      await connect({ user: '7' }),
      await connect({ user: '8' }),
    ]
    expect(a.connection.userId).toBe('7')
    expect(api.chat.publish.user('7', 'said', 'seven')).toBe(2)
    expect(api.chat.publish.with({ except: a.id }).user('7', 'said', 'spared')).toBe(1)
    expect(api.log.publish.user(7 as never, 'said', 'number')).toBe(2)
    expect(api.chat.publish.user('9', 'said', 'nobody')).toBe(0)
    expect(await a.settled()).toEqual(['seven', 'log number'])
    expect(await b.settled()).toEqual(['seven', 'spared', 'log number'])
    expect(await c.settled()).toEqual([])
  })

  test('follows a session that logs in and out after it has connected', async () => {
    const { api, connect } = await start()
    const a = await connect()
    expect(a.connection.userId).toBeUndefined()
    expect(api.chat.publish.user('ann', 'said', 'too early')).toBe(0)
    await a.rpc.login('ann')
    expect(a.connection.userId).toBe('ann')
    expect(api.chat.publish.user('ann', 'said', 'hello')).toBe(1)
    await a.rpc.login('bob')
    expect(api.chat.publish.user('ann', 'said', 'too late')).toBe(0)
    expect(api.chat.publish.user('bob', 'said', 'hello bob')).toBe(1)
    await a.rpc.login(null)
    expect(a.connection.userId).toBeUndefined()
    expect(api.chat.publish.user('bob', 'said', 'gone')).toBe(0)
    expect(await a.settled()).toEqual(['hello', 'hello bob'])
  })

  test('hears of what the web side and other tabs do to the session, and of its end', async () => {
    const { app, api, connect } = await start()
    const a = await connect()
    await a.rpc.login('ann')
    const id = a.connection.session.id!
    await new Promise<void>((resolve, reject) =>
      app.sessions.store.get(id, (error, found) => {
        if (error || !found) return reject(error)
        const session = Object.assign(app.sessions.store.createSession({} as never, found), { user: 'eve' })
        app.sessions.store.set(id, session, error => (error ? reject(error) : resolve()))
      }),
    )
    expect(api.chat.publish.user('ann', 'said', 'x')).toBe(0)
    expect(api.chat.publish.user('eve', 'said', 'x')).toBe(1)
    await app.sessions.destroy(id)
    expect(api.chat.publish.user('eve', 'said', 'y')).toBe(0)
  })

  test('goes by `authenticate` where it names somebody, whatever the session says', async () => {
    const { api, connect } = await start({ authenticate })
    const a = await connect({ user: '7' })
    await a.rpc.login('ann')
    expect(a.connection.userId).toBe('7')
    expect(api.chat.publish.user('ann', 'said', 'x')).toBe(0)
    expect(api.chat.publish.user('7', 'said', 'x')).toBe(1)
  })

  test('is not stopped by a `userOf` that fails', async () => {
    const userOf = () => {
      throw new Error('mine')
    }
    const { api, connect, log } = await start({ sessions: { secret: 's', userOf } })
    const a = await connect()
    await a.rpc.login('ann')
    expect(a.connection.userId).toBeUndefined()
    expect(api.chat.publish.user('ann', 'said', 'x')).toBe(0)
    expect(new Set(log.of('error'))).toEqual(new Set(['sessions.userOf failed']))
  })

  test('refuses what is no id', async () => {
    const { api } = await start()
    for (const id of ['', undefined, null, {}]) {
      expect(() => api.chat.publish.user(id as string, 'said', 'x')).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
      )
    }
    expect(() => api.log.publish.with({ key: 'k' }).user('u', 'said', 'x')).toThrow('key')
  })
})

describe('a subscription that the server has made', () => {
  test('is heard without having asked, once, until it is taken back', async () => {
    const { api, connect } = await start()
    const [a, b] = [await connect(), await connect()]
    const session = a.connection.session.id!
    expect(api.chat.subscribe({ session }, 'news')).toBe(true)
    expect(api.chat.subscribe({ session }, 'news')).toBe(false)
    expect(api.chat.subscribe({ connection: a.id }, 'news')).toBe(true)
    api.chat.publish.channel('news', 'said', 'one')
    await a.chat.subscribe('news')
    await b.chat.publish('news', 'said', 'two')
    a.chat.unsubscribe('news')
    await a.settled().then(heard => expect(heard).toEqual(['one', 'two']))
    api.chat.publish.with({ except: a.id }).channel('news', 'said', 'not you')
    api.chat.publish.channel('news', 'said', 'three')
    expect(api.chat.unsubscribe({ session }, 'news')).toBe(true)
    expect(api.chat.unsubscribe({ session }, 'news')).toBe(false)
    api.chat.publish.channel('news', 'said', 'four')
    expect(api.chat.unsubscribe({ connection: a.id }, 'news')).toBe(true)
    api.chat.publish.channel('news', 'said', 'five')
    expect(await a.settled()).toEqual(['three', 'four'])
    expect(await b.settled()).toEqual([])
  })

  test.each(['chat', 'log'] as const)('of %s outlives connections, for a session and a user', async name => {
    const { api, connect } = await start()
    const a = await connect()
    const service = api[name]
    await a.rpc.login('ann')
    await service.subscribe({ user: 'ann' }, 'news')
    await service.subscribe({ connection: a.id }, 'brief')
    service.publish.channel('news', 'said', 'one')
    service.publish.channel('brief', 'said', 'two')
    const before = await a.settled()
    await a.lose()
    service.publish.channel('news', 'said', 'three')
    service.publish.channel('brief', 'said', 'nobody')
    expect(before).toHaveLength(2)
    expect((await a.settled()).map(what => `${what}`.slice(-5))).toEqual(['three'])
    expect(service.unsubscribe({ connection: a.id }, 'brief')).toBe(false)
    expect(await service.subscribe({ connection: a.id }, 'brief')).toBe(false)
    await a.rpc.login(null)
    service.publish.channel('news', 'said', 'not any more')
    expect(await a.settled()).toEqual([])
  })

  test('of a channel with a history recovers what was missed', async () => {
    const { api, connect } = await start()
    const a = await connect()
    const recovered: [string, Recovered][] = []
    a.log.onrecovered((channel, how) => recovered.push([channel, how]))
    // Sessions in which there is nothing end with their last connection.
    await a.rpc.login('ann')
    const session = a.connection.session.id!
    const occupied: string[] = []
    api.log.on('occupied', channel => occupied.push(channel))
    api.log.on('vacated', channel => occupied.push(`-${channel}`))
    expect(await api.log.subscribe({ session }, 'closed:1')).toBe(true)
    const publish = (what: string) => api.log.publish.acknowledged('closed:1', 'said', what)
    const next = () => new Promise<string>(resolve => a.log.once('said', resolve))
    let heard = next()
    await publish('one')
    expect(await heard).toBe('one')
    heard = next()
    await publish('two')
    expect(await heard).toBe('two')
    heard = next()
    const back = a.lose()
    await publish('three')
    await back
    expect(await heard).toBe('three')
    expect(await a.settled()).toEqual(['log one', 'log two', 'log three'])
    expect(a.log.position('closed:1')?.offset).toBe(3)
    expect(recovered.every(([channel, how]) => channel === 'closed:1' && how.recovered)).toBe(true)

    expect((await a.log.subscribe('closed:2').catch(error => error)).code).toBe('FORBIDDEN')
    const vacated = new Promise<string>(resolve => api.log.on('vacated', resolve))
    expect(api.log.unsubscribe({ session }, 'closed:1')).toBe(true)
    await publish('four')
    expect(await a.settled()).toEqual([])
    expect(a.log.position('closed:1')).toBeUndefined()
    expect(await vacated).toBe('closed:1')
    expect(occupied).toEqual(['closed:1', '-closed:1'])
    expect(recovered.every(([, how]) => how.recovered)).toBe(true)
  })

  test('leaves clients the subscriptions that are their own', async () => {
    const { api, connect } = await start()
    const a = await connect()
    const session = a.connection.session.id!
    const next = () => new Promise<string>(resolve => a.log.once('said', resolve))
    await api.log.subscribe({ session }, 'kept:1')
    const heard = next()
    await api.log.publish.acknowledged('kept:1', 'said', 'one')
    await heard
    await a.log.subscribe('kept:1')
    api.log.unsubscribe({ session }, 'kept:1')
    const two = next()
    await api.log.publish.acknowledged('kept:1', 'said', 'two')
    await two
    await api.log.subscribe({ session }, 'kept:1')
    a.log.unsubscribe('kept:1')
    a.log.unsubscribe('kept:1')
    const three = next()
    await a.rpc.enter('settled')
    await api.log.publish.acknowledged('kept:1', 'said', 'three')
    await three
    expect(await a.settled()).toEqual(['log one', 'log two', 'log three'])
  })

  test('cannot be claimed by clients that the server has not subscribed', async () => {
    const { api, transport } = await start()
    const wire = await WireClient.open(transport)
    const ask = async (id: number) => {
      wire.send([1, 2, id, ['subscribe', 'closed:1', null, true]])
      for (;;) {
        const answer = wire.frames.find(([kind, call]) => kind < 4 && kind > 1 && call === id)
        if (answer !== undefined) return answer
        await wire.next()
      }
    }
    expect(await ask(1)).toMatchObject([3, 1, { code: 'FORBIDDEN' }])
    const whose = { connection: wire.welcome.cid as string }
    await api.log.subscribe(whose, 'closed:1')
    const answer = await ask(3)
    expect(answer).toMatchObject([2, 3, [expect.any(Number), expect.any(String), 0, false, null, []]])
    // It ends, whatever the client makes of it.
    const heard = wire.next()
    await api.log.publish.acknowledged('closed:1', 'said', 'one')
    await heard
    api.log.unsubscribe(whose, 'closed:1')
    await api.log.publish.acknowledged('closed:1', 'said', 'two')
    await ask(5)
    const run = (answer[2] as [number])[0]
    expect(wire.frames.filter(([kind]) => kind === 0).map(frame => frame.at(-1))).toEqual([
      [0],
      [run, 1, 'said', 'one'],
      [-1, 'closed:1'],
    ])
  })

  test('says who is meant, and which channel', async () => {
    const { api } = await start()
    for (const whose of [
      {},
      { user: '' },
      { user: 7 },
      null,
      'ann',
      { user: 'a', session: 'b' },
      { room: 'x' },
    ]) {
      expect(() => api.chat.subscribe(whose as never, 'news')).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
      )
      await expect(api.log.subscribe(whose as never, 'news')).rejects.toMatchObject({
        code: 'INVALID_ARGUMENTS',
      })
    }
    expect(() => api.chat.subscribe({ user: 'ann' }, '')).toThrow('1 to 256')
    await expect(api.log.subscribe({ user: 'ann' }, `kept:${'€'.repeat(200)}`)).rejects.toThrow('508 bytes')
  })
})

describe('a private channel', () => {
  test('is for the user that its name says', async () => {
    const { api, connect } = await start({ authenticate })
    const [a, b, c] = [await connect({ user: '7' }), await connect({ user: '77' }), await connect()]
    await a.log.subscribe('inbox:7')
    for (const client of [b, c]) {
      for (const channel of ['inbox:7', 'inbox:', 'inbox:undefined']) {
        expect((await client.log.subscribe(channel).catch(error => error)).code).toBe('FORBIDDEN')
        expect((await client.log.history(channel).catch(error => error)).code).toBe('FORBIDDEN')
      }
    }
    const heard = new Promise(resolve => a.log.once('said', resolve))
    await api.log.publish.acknowledged('inbox:7', 'said', 'for you')
    expect(await heard).toBe('for you')
    expect(await b.settled()).toEqual([])
  })

  test('asks its own hook as well, and not that of the service', async () => {
    const asked: string[] = []
    const canSubscribe = (_ctx: PubSubContext, channel: string) => asked.push(channel) > 1
    const { api, connect } = await start(
      { authenticate },
      pubsub<Events>({
        canSubscribe: () => false,
        channels: { 'own:*': { private: true, canSubscribe }, 'inbox:*': { private: true } },
      }),
    )
    const a = await connect({ user: '7' })
    for (const channel of ['own:7', 'own:8']) {
      expect((await a.log.subscribe(channel).catch(error => error)).code).toBe('FORBIDDEN')
    }
    await a.log.subscribe('own:7')
    await a.log.subscribe('inbox:7')
    expect(asked).toEqual(['own:7', 'own:7'])
    api.log.publish.channel('own:7', 'said', 'x')
    expect(await a.settled()).toEqual(['log x'])
  })

  test('needs a pattern', () => {
    for (const channels of [{ inbox: { private: true } }, { 'inbox:*': { private: 1 as never } }]) {
      expect(() => pubsub<Events>({ channels })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })
})

describe('a listener on the server', () => {
  test('hears what is published to its channels, by whom, in order', async () => {
    const { api, connect } = await start()
    const a = await connect()
    const heard: unknown[] = []
    const off = api.chat.listen('room:*', (event, args, { channel, connection }) => {
      heard.push([channel, event, args, connection?.id])
      if (args[0] === 'first') api.chat.publish.channel('room:2', 'said', 'from within')
    })
    api.chat.listen(
      'room:1',
      (event, args) => void (event === 'moved' && heard.push(Number(args[0]) + Number(args[1]))),
    )
    api.chat.listen('room:1', (_event, args) => void heard.push(args.length))
    api.chat.publish.channel('room:1', 'said', 'first')
    await a.chat.publish('room:1', 'moved', 1, 2)
    api.chat.publish.channel('other', 'said', 'x')
    api.chat.publish.all('said', 'x')
    off()
    api.chat.publish.channel('room:2', 'said', 'x')
    expect(heard).toEqual([
      ['room:1', 'said', ['first'], undefined],
      1,
      ['room:2', 'said', ['from within'], undefined],
      ['room:1', 'moved', [1, 2], a.id],
      3,
      2,
    ])
  })

  test('hears of a channel with a history what the engine has taken, with its place, once', async () => {
    const { api, connect } = await start()
    const a = await connect()
    const heard: unknown[] = []
    const two = new Promise<void>(resolve => {
      api.log.listen('*', (_event, [what], { connection, ...place }) => {
        heard.push([what, connection?.id, place])
        if (what === 'two') resolve()
      })
    })
    const once = api.log.publish.with({ key: 'k' })
    await Promise.all([
      once.acknowledged('kept:1', 'said', 'one'),
      once.acknowledged('kept:1', 'said', 'again'),
      a.log.publish('kept:1', 'said', 'two'),
      a.log.publish('live', 'said', 'three'),
      two,
    ])
    const place = { channel: 'kept:1', epoch: expect.any(String) }
    expect(heard).toHaveLength(3)
    expect(heard).toContainEqual(['three', a.id, { channel: 'live' }])
    expect(heard.filter(line => !`${line}`.startsWith('three'))).toEqual([
      ['one', undefined, { ...place, offset: 1 }],
      ['two', a.id, { ...place, offset: 2 }],
    ])
  })

  test('that fails is logged, and keeps nobody from hearing', async () => {
    const { api, log } = await start()
    const heard: unknown[] = []
    api.chat.listen('news', () => {
      throw new Error('now')
    })
    api.chat.listen('news', async () => {
      throw new Error('later')
    })
    api.chat.listen('news', event => void heard.push(event))
    api.chat.publish.channel('news', 'said', 'x')
    await new Promise(setImmediate)
    expect(heard).toEqual(['said'])
    expect(log.of('error')).toEqual(['a listener for news failed', 'a listener for news failed'])
  })

  test('needs a pattern and a function', async () => {
    const { api } = await start()
    for (const pattern of ['', 'a*b', '**', 7 as never]) {
      expect(() => api.chat.listen(pattern, () => {})).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
      )
    }
    expect(() => api.chat.listen('x', undefined as never)).toThrow('is a function')
  })
})
