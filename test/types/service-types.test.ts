/** What is inferred from a server's services. Nothing here runs: `tsc` checks it. */
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  type ChannelsClient,
  type ChannelsServer,
  type PubSubServer,
  pubsub,
  type Subscribed,
} from '../../src/services/pubsub/index.js'
import { type RpcContext, rpc, validated } from '../../src/services/rpc/index.js'
import type { ClientApi, ServerApi, ServiceDefinition } from '../../src/services/service.js'

declare class Server<Services> {
  readonly '~services': Services
  readonly api: ServerApi<Services>
  constructor(options?: { root?: string })
  service<const Name extends string, D extends ServiceDefinition>(
    name: Name,
    definition: D,
  ): Server<Services & { readonly [Key in Name]: D }>
  start(): Promise<ServerApi<Services>>
}

interface Events {
  news: [{ t: number }]
}

function makeApp() {
  return new Server()
    .service(
      'rpc',
      rpc({
        add: (ctx, a: number, b: number) => {
          expectTypeOf(ctx).toEqualTypeOf<RpcContext>()
          expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>()
          return a + b
        },
        nested: { deep: async (ctx, x: string) => ({ x, id: ctx.connectionId }) },
        count: async function* (ctx, n: number) {
          for (let i = 0; i < n && !ctx.signal.aborted; i++) yield i
        },
        *sync(_ctx, n: number) {
          yield n
          yield Promise.resolve('x')
        },
        laterStream: async () =>
          (async function* () {
            yield 1
          })(),
        array: () => [1, 2],
        set: () => new Set(['a']),
        noargs: () => 7,
        onlyctx: ctx => ctx.clientIp,
        opt: (_ctx, a: string, b?: number) => b ?? a.length,
        rest: (_ctx, ...xs: string[]) => xs.length,
        obj(_ctx, o: { a?: number }) {
          return o.a
        },
        v: validated(
          z.tuple([
            z.object({ id: z.coerce.number<string>(), tag: z.string().optional() }),
            z.string().optional(),
          ]),
          (ctx, o, s) => {
            expectTypeOf(ctx).toEqualTypeOf<RpcContext>()
            expectTypeOf(o.id).toEqualTypeOf<number>()
            return [o.id, s, ctx.connectionId] as const
          },
        ),
        vd: validated(z.tuple([z.number(), z.string().default('x')]), (_ctx, n, s) => {
          expectTypeOf(s).toEqualTypeOf<string>()
          return n
        }),
        vr: validated(z.tuple([z.string()]), z.object({ n: z.number() }), async (_ctx, s) => ({
          n: s.length,
        })),
        vgen: validated(z.tuple([z.number()]), async function* (_ctx, n) {
          yield n.toFixed()
        }),
        vrgen: validated(z.tuple([z.string()]), z.number().transform(String), async function* (_ctx, s) {
          expectTypeOf(s).toEqualTypeOf<string>()
          yield s.length
        }),
        vrsync: validated(z.tuple([]), z.number(), function* () {
          yield 1
        }),
        bool: (_ctx, b: boolean) => b as boolean | undefined,
        any: (_ctx, s: string) => JSON.parse(s),
        anyLater: async (_ctx, s: string) => JSON.parse(s),
        never: () => {
          throw new Error('x')
        },
        untyped: JSON.parse(''),
        maybe: async _ctx => (Math.random() > 0.5 ? null : { a: 1 }),
      }),
    )
    .service('chat', pubsub<{ news: [{ t: number }]; two: [string, number] }>())
    .service('declared', pubsub<Events>())
    .service('kept', pubsub<Events>({ channels: { 'news:*': { history: { size: 10 } } } }))
    .service('loose', pubsub())
    .service('files', rpc())
    .service('typedFiles', rpc<{ demo: { square(n: number): Promise<number> } }>({ dir: 'actions' }))
    .service('own', {
      use: { json: true, callbacks: true },
      server(server) {
        server.onmessage = (message, _request, reply) => reply(message)
        return { poke: (n: number) => server.broadcast(n) }
      },
      client(client) {
        return {
          ask: (q: string) => new Promise<number>(resolve => client.send(q, value => resolve(Number(value)))),
        }
      },
    })
    .service('secret', {
      private: true,
      server() {
        return { x: 1 }
      },
      client() {
        return { leak: 1 }
      },
    })
    .service('hidden', { ...rpc({ add: () => 1 }), private: true as const })
    .service('old', JSON.parse('0'))
}

type App = ReturnType<typeof makeApp>
type Api = ClientApi<App['~services']>
type Rpc = Api['rpc']

describe('the client of RPC', () => {
  it('has the arguments and the result of each handler', () => {
    expectTypeOf<Rpc['add']>().toEqualTypeOf<(a: number, b: number) => Promise<number>>()
    expectTypeOf<ReturnType<Rpc['nested']['deep']>>().toEqualTypeOf<Promise<{ x: string; id: string }>>()
    expectTypeOf<Parameters<Rpc['noargs']>>().toEqualTypeOf<[]>()
    expectTypeOf<Parameters<Rpc['onlyctx']>>().toEqualTypeOf<[]>()
    expectTypeOf<Parameters<Rpc['opt']>>().toEqualTypeOf<[a: string, b?: number | undefined]>()
    expectTypeOf<Parameters<Rpc['rest']>>().toEqualTypeOf<string[]>()
    expectTypeOf<ReturnType<Rpc['bool']>>().toEqualTypeOf<Promise<boolean | undefined>>()
    expectTypeOf<ReturnType<Rpc['maybe']>>().toEqualTypeOf<Promise<{ a: number } | null>>()
    expectTypeOf<ReturnType<Rpc['array']>>().toEqualTypeOf<Promise<number[]>>()
    expectTypeOf<ReturnType<Rpc['set']>>().toEqualTypeOf<Promise<Set<string>>>()
  })

  it('has async iterables for streams', () => {
    expectTypeOf<ReturnType<Rpc['count']>>().toEqualTypeOf<AsyncIterable<number>>()
    expectTypeOf<ReturnType<Rpc['sync']>>().toEqualTypeOf<AsyncIterable<number | string>>()
    expectTypeOf<ReturnType<Rpc['laterStream']>>().toEqualTypeOf<AsyncIterable<number>>()
    expectTypeOf<ReturnType<Rpc['vgen']>>().toEqualTypeOf<AsyncIterable<string>>()
    expectTypeOf<ReturnType<Rpc['vrgen']>>().toEqualTypeOf<AsyncIterable<string>>()
    expectTypeOf<ReturnType<Rpc['vrsync']>>().toEqualTypeOf<AsyncIterable<number>>()
  })

  it('keeps `any` and `never` apart from the rest', () => {
    expectTypeOf<Awaited<ReturnType<Rpc['any']>>>().toBeAny()
    expectTypeOf<ReturnType<Rpc['any']>>().not.toBeAny()
    expectTypeOf<Awaited<ReturnType<Rpc['anyLater']>>>().toBeAny()
    expectTypeOf<ReturnType<Rpc['anyLater']>>().not.toBeAny()
    expectTypeOf<ReturnType<Rpc['never']>>().toEqualTypeOf<Promise<never>>()
    expectTypeOf<Awaited<ReturnType<Rpc['untyped']>>>().toBeAny()
    expectTypeOf<ReturnType<Rpc['untyped']>>().not.toBeAny()
  })

  it('takes what a schema takes, and gives what it gives', () => {
    expectTypeOf<Parameters<Rpc['v']>>().toEqualTypeOf<
      [{ id: string; tag?: string | undefined }, (string | undefined)?]
    >()
    expectTypeOf<ReturnType<Rpc['v']>>().toEqualTypeOf<
      Promise<readonly [number, string | undefined, string]>
    >()
    expectTypeOf<ReturnType<Rpc['vr']>>().toEqualTypeOf<Promise<{ n: number }>>()
    expectTypeOf<[1]>().toExtend<Parameters<Rpc['vd']>>()
    expectTypeOf<[1, 'a']>().toExtend<Parameters<Rpc['vd']>>()
    expectTypeOf<['a']>().not.toExtend<Parameters<Rpc['vd']>>()
  })

  it('of files is what it is said to be, or loose', () => {
    expectTypeOf<Api['typedFiles']['demo']['square']>().toEqualTypeOf<(n: number) => Promise<number>>()
    expectTypeOf<ReturnType<NonNullable<Api['files']['demo']>>>().toEqualTypeOf<Promise<unknown>>()
  })
})

describe('PubSub with channels', () => {
  it('has positions and recovery at the client, acknowledgements at the server', () => {
    expectTypeOf<Api['kept']>().toEqualTypeOf<ChannelsClient<Events>>()
    expectTypeOf<App['api']['kept']>().toEqualTypeOf<ChannelsServer<Events>>()
    expectTypeOf<Awaited<ReturnType<Api['kept']['subscribe']>>>().toEqualTypeOf<Subscribed>()
    const use = (client: Api['kept'], server: App['api']['kept']) => {
      client.on('news', ({ t }) => expectTypeOf(t).toEqualTypeOf<number>())
      expectTypeOf(
        server.publish.with({ key: 'k' }).acknowledged('news:1', 'news', { t: 1 }),
      ).resolves.toExtend<{
        offset: number
        epoch: string
        duplicate: boolean
      }>()
      // @ts-expect-error another event's arguments
      void client.publish('news:1', 'news', 1)
      // @ts-expect-error no such event
      void server.publish.acknowledged('news:1', 'other')
      // @ts-expect-error no such option
      pubsub({ channels: { a: { histroy: { size: 1 } } } })
    }
    expectTypeOf(use).toBeFunction()
  })

  it('is not what there is without them', () => {
    expectTypeOf<Api['declared']>().not.toHaveProperty('position')
    expectTypeOf<App['api']['declared']['publish']>().not.toHaveProperty('acknowledged')
  })
})

describe('the client of a table of services', () => {
  it('lacks private services, and has `any` for untyped ones', () => {
    expectTypeOf<'secret' extends keyof Api ? true : false>().toEqualTypeOf<false>()
    expectTypeOf<'hidden' extends keyof Api ? true : false>().toEqualTypeOf<false>()
    expectTypeOf<Api['old']>().toBeAny()
    expectTypeOf<Api['own']['ask']>().toEqualTypeOf<(q: string) => Promise<number>>()
  })
})

describe('the server API', () => {
  it('has what each server half returns', () => {
    type Apis = Awaited<ReturnType<App['start']>>
    expectTypeOf<Apis>().toEqualTypeOf<App['api']>()
    expectTypeOf<Apis['rpc']>().toEqualTypeOf<undefined>()
    expectTypeOf<Apis['secret']['x']>().toEqualTypeOf<number>()
    expectTypeOf<Apis['own']['poke']>().toEqualTypeOf<(n: number) => void>()
    expectTypeOf<Apis['declared']>().toEqualTypeOf<PubSubServer<Events>>()
  })
})

/** Never called: what compiles and what does not. */
function calls(api: Api, server: App['api']): void {
  api.rpc.vd(1)
  api.rpc.vd(1, 'a')
  api.chat.on('news', x => expectTypeOf(x).toEqualTypeOf<{ t: number }>())
  api.chat.once('two', (s, n) => [s.length, n.toFixed()])
  api.declared.on('news', x => x.t.toFixed())
  api.declared.publish('room', 'news', { t: 1 })
  api.declared.publish(undefined, 'news', { t: 1 })
  api.loose.on('whatever', (...args) => expectTypeOf(args).toEqualTypeOf<unknown[]>())
  // @ts-expect-error wrong type
  api.rpc.add('1', 2)
  // @ts-expect-error too few
  api.rpc.add(1)
  // @ts-expect-error unknown method
  api.rpc.nope()
  // @ts-expect-error a namespace is not a method
  api.rpc.nested()
  // @ts-expect-error unknown event
  api.chat.on('nope', () => {})
  // @ts-expect-error wrong arguments of an event
  api.chat.publish('room', 'two', 'a', 'b')
  // @ts-expect-error private
  api.secret
  // @ts-expect-error a property is missing or has a value
  api.rpc.obj({ a: undefined })

  server.chat.publish.all('news', { t: 1 })
  server.chat.publish.channel('room', 'two', 'a', 1)
  server.own.poke(1)
  // @ts-expect-error wrong arguments of an event
  server.chat.publish.session('id', 'news', { t: '1' })
  // @ts-expect-error unknown event
  server.chat.publish.connection('id', 'nope')

  // the statement form stays legal
  const app = new Server()
  app.service('rpc', rpc({ add: (_ctx, a: number) => a }))

  // @ts-expect-error events are lists of arguments
  pubsub<{ news: string }>()
  // @ts-expect-error a handler is a function
  rpc({ add: 7 })
  // @ts-expect-error the result does not fit its schema
  validated(z.tuple([]), z.number(), () => 'x')
  // @ts-expect-error a schema of the arguments is one of a list
  validated(z.string(), () => 1)
}

describe('a wrong call', () => {
  it('does not compile', () => expectTypeOf(calls).toBeFunction())
})
