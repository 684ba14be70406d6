/** What is inferred from a presence service. Nothing here runs: `tsc` checks it. */
import { describe, expectTypeOf, it } from 'vitest'
import { createClient } from '../../src/client/node.js'
import type { Server } from '../../src/server.js'
import { presenceClient } from '../../src/services/presence/client.js'
import { type PresenceMember, type PresenceSnapshot, presence } from '../../src/services/presence/index.js'

interface Meta {
  readonly name: string
}

function makeApp(server: Server) {
  return server
    .service('presence', presence<Meta>({ canJoin: (_ctx, _channel, meta) => meta.name !== '' }))
    .service('bare', presence<string | undefined>())
}

describe('the types of presence', () => {
  it('know what devices say of themselves, at both ends', () => {
    const check = (app: ReturnType<typeof makeApp>) => {
      expectTypeOf(app.api.presence.list).returns.resolves.toHaveProperty('members')
      app.api.presence.list('room').then(({ members }) => {
        expectTypeOf(members).toEqualTypeOf<readonly PresenceMember<Meta>[]>()
      })
      const client = createClient<typeof app>({
        url: 'ws://localhost',
        services: { presence: presenceClient },
      })
      expectTypeOf(client.api.presence.watch('room').getSnapshot()).toEqualTypeOf<PresenceSnapshot<Meta>>()
      client.api.presence.join('room', { name: 'Ann' })
      // @ts-expect-error: a device has to say what it is
      client.api.presence.join('room')
      // @ts-expect-error: a name is a text
      client.api.presence.join('room', { name: 1 })
      client.api.bare.join('room')
      client.api.bare.join('room', 'here')
      // @ts-expect-error: there is no such event
      app.api.presence.on('moved', () => {})
    }
    expectTypeOf(check).toBeFunction()
  })
})
