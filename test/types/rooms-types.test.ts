/** The types of rooms, users and listeners. Nothing here runs: `tsc` checks it. */
import { describe, expectTypeOf, it } from 'vitest'
import type { Audience, Connection } from '../../src/index.js'
import {
  type Addressed,
  type ChannelsServer,
  type Heard,
  type PubSubServer,
  pubsub,
} from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'

interface Events {
  said: [who: string, what: string]
  moved: [x: number, y?: number]
}

interface Calls {
  confirm(question: string): boolean
  count(to: number): AsyncIterable<number>
}

declare const plain: PubSubServer<Events>
declare const channels: ChannelsServer<Events>
declare const audience: Audience
declare const connection: Connection
declare const asking: PubSubServer<Events, Calls>
declare const askingChannels: ChannelsServer<Events, Calls>

/** Never called: it is compiled. */
function compiled(): void {
  expectTypeOf(plain.to('a').except(['b'])).toEqualTypeOf<Addressed<Events>>()
  expectTypeOf(channels.except('a').emit('moved', 1)).toEqualTypeOf<number>()
  expectTypeOf(audience.to('a').connections()).toEqualTypeOf<readonly Connection[]>()
  // @ts-expect-error an audience of the server belongs to no service
  audience.emit('said', 'a', 'b')
  // @ts-expect-error no such event
  plain.to('a').emit('sung')
  // @ts-expect-error a number is no text
  plain.to('a').emit('said', 'a', 1)
  // @ts-expect-error the name of a room is a text
  plain.to(1)
  expectTypeOf(plain.publish.user('u', 'said', 'a', 'b')).toEqualTypeOf<number>()
  expectTypeOf(channels.publish.with({ key: 'k' }).user('u', 'moved', 1)).toEqualTypeOf<number>()
  // @ts-expect-error an argument is missing
  channels.publish.user('u', 'said', 'a')

  expectTypeOf(plain.subscribe({ user: 'u' }, 'a')).toEqualTypeOf<boolean>()
  expectTypeOf(channels.subscribe({ session: 's' }, 'a')).toEqualTypeOf<Promise<boolean>>()
  // @ts-expect-error nobody is meant
  plain.subscribe({}, 'a')
  expectTypeOf(channels.unsubscribe({ connection: 'c' }, 'a')).toEqualTypeOf<boolean>()

  expectTypeOf(connection.call(asking, 'confirm', 'sure?')).toEqualTypeOf<Promise<boolean>>()
  expectTypeOf(connection.call(askingChannels, 'count', 3)).toEqualTypeOf<AsyncIterable<number>>()
  expectTypeOf(connection.call(asking.with({ timeout: 1 }), 'confirm', 'a')).toEqualTypeOf<Promise<boolean>>()
  // @ts-expect-error no such call
  connection.call(asking, 'refuse')
  // @ts-expect-error a number is no text
  connection.call(asking, 'confirm', 1)
  // @ts-expect-error the service, not its name
  connection.call('chat', 'confirm', 'a')

  plain.listen('a', (event, args, heard) => {
    expectTypeOf(event).toEqualTypeOf<'said' | 'moved'>()
    expectTypeOf(args).toEqualTypeOf<Events['said'] | Events['moved']>()
    expectTypeOf(heard).toEqualTypeOf<Heard>()
    expectTypeOf(heard.connection).toEqualTypeOf<Connection | undefined>()
  })
  plain.listen('a', async event => void event)

  pubsub<Events>({ channels: { 'inbox:*': { private: true } } })
  // @ts-expect-error true or false
  pubsub<Events>({ channels: { 'inbox:*': { private: 'yes' } } })
  rpc({
    enter(ctx) {
      expectTypeOf(ctx.connection.join(['a', 'b'])).toEqualTypeOf<boolean>()
      expectTypeOf(ctx.connection.rooms).toEqualTypeOf<ReadonlySet<string>>()
      expectTypeOf(ctx.connection.userId).toEqualTypeOf<string | undefined>()
    },
  })
}

describe('the types of rooms', () => {
  it('are checked by the compiler', () => {
    expectTypeOf(compiled).toBeFunction()
  })
})
