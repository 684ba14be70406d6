/** The types of uploads, and of the server's calls to clients. Nothing here runs: `tsc` checks it. */
import { describe, expectTypeOf, it } from 'vitest'
import { handling } from '../../src/client/handlers.js'
import { createClient } from '../../src/client/index.js'
import { rpcUploads, upload } from '../../src/client/uploads.js'
import { Server } from '../../src/server.js'
import type { Answers } from '../../src/services/call-many.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'

type Events = { said: [what: string] }
type Calls = {
  vote: (question: string) => boolean
  read: (file: string, from?: number) => Promise<string>
  count: (to: number) => AsyncIterable<number>
}

/** Never called: it is compiled. */
function compiled(): void {
  const app = new Server({ transport: ws({ port: 0 }) })
    .service('chat', pubsub<Events, Calls>())
    .service('log', pubsub<Events, Calls>({ channels: { 'a:*': { history: { size: 1 } } } }))
    .service('mute', pubsub<Events>())
    .service(
      'rpc',
      rpc({
        async store(_ctx, name: string, chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of chunks) expectTypeOf(chunk).toExtend<Uint8Array>()
          return name
        },
        sum: async (_ctx, numbers: AsyncIterable<number>) => numbers !== undefined,
      }),
    )
  const client = createClient<typeof app>({
    url: 'ws://localhost',
    services: { chat: handling(), log: handling(channelsClient), rpc: rpcUploads },
  })

  expectTypeOf(upload([1])).toEqualTypeOf<AsyncIterable<number>>()
  expectTypeOf(upload(new Set(['a']))).toEqualTypeOf<AsyncIterable<string>>()
  expectTypeOf(upload(new ReadableStream<string>())).toEqualTypeOf<AsyncIterable<string>>()
  expectTypeOf(client.api.rpc.store('a', upload([new Uint8Array()]))).resolves.toEqualTypeOf<string>()
  expectTypeOf(client.api.rpc.sum(upload([1]))).resolves.toEqualTypeOf<boolean>()
  // @ts-expect-error texts are no numbers
  client.api.rpc.sum(upload(['a']))
  // @ts-expect-error a list is no upload
  client.api.rpc.sum([1])
  // @ts-expect-error a number has no items
  upload(5)

  for (const chat of [app.api.chat, app.api.log]) {
    expectTypeOf(chat.call('id', 'vote', 'a')).toEqualTypeOf<Promise<boolean>>()
    expectTypeOf(chat.call('id', 'read', 'a', 1)).toEqualTypeOf<Promise<string>>()
    expectTypeOf(chat.with({ timeout: 1 }).call('id', 'count', 1)).toEqualTypeOf<AsyncIterable<number>>()
    expectTypeOf(chat.to('a').with({ timeout: 1 }).call('vote', 'a')).resolves.toEqualTypeOf<
      Answers<boolean>
    >()
    // @ts-expect-error no such call
    chat.call('id', 'sing')
    // @ts-expect-error a number is no text
    chat.call('id', 'vote', 1)
    // @ts-expect-error an argument is missing
    chat.except('a').call('vote')
  }

  for (const chat of [client.api.chat, client.api.log]) {
    const off = chat.handle('vote', (ctx, question) => {
      expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>()
      expectTypeOf(question).toEqualTypeOf<string>()
      return true
    })
    expectTypeOf(off).toEqualTypeOf<() => void>()
    chat.handle('vote', async () => false)
    // @ts-expect-error a text is no boolean
    chat.handle('vote', () => 'yes')
    // @ts-expect-error no such call
    chat.handle('sing', () => true)
  }
  // @ts-expect-error this service calls nobody
  client.api.mute.handle('vote', () => true)
}

describe('the types of uploads and calls', () => {
  it('are checked by the compiler', () => {
    expectTypeOf(compiled).toBeFunction()
  })
})
