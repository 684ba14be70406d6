import { afterEach, expect, test, vi } from 'vitest'
import { ActorRef } from '../../src/actors/runtime/index.js'
import type { ServiceServer } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test.each(['/services/echo', '/router'])(
  'a call that the mailbox of %s has no place for is answered OVERLOADED, with when to ask again, and not run',
  async path => {
    const ran: unknown[] = []
    const { app, transport } = testServer()
    app.service('echo', {
      use: { callbacks: true },
      server(server: ServiceServer) {
        server.onmessage = (message, _request, reply) => {
          ran.push(message)
          reply(message)
        }
      },
    })
    await app.start()
    cleanups.push(() => app.stop())
    const client = await WireClient.open(transport)
    const { tell } = ActorRef.prototype
    let full = true
    vi.spyOn(ActorRef.prototype, 'tell').mockImplementation(function (this: ActorRef<never>, message) {
      return full && this.path === path ? false : tell.call(this, message)
    })
    client.send([1, 1, 1, 'too much'])
    const refusal = expect.objectContaining({ code: 'OVERLOADED', retryAfter: 100 })
    expect(await client.next()).toEqual([3, 1, refusal])
    expect(app.statistics()).toMatchObject({ errors: { OVERLOADED: 1 }, calls: { inFlight: 0 } })
    full = false
    client.send([1, 1, 3, 'again'])
    expect(await client.next()).toEqual([2, 3, 'again'])
    expect(ran).toEqual(['again'])
  },
)
