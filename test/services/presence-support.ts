import { createClient } from '../../src/client/node.js'
import type { ClientLink } from '../../src/client/transport.js'
import type { Engine } from '../../src/engines/engine.js'
import { Server } from '../../src/server.js'
import { presenceClient, type RemotePresence } from '../../src/services/presence/client.js'
import { type PresenceOptions, presence } from '../../src/services/presence/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { memory } from '../../src/transports/memory.js'

/** What the tests have opened: to be closed after each. */
export const cleanups: (() => unknown)[] = []

/** A server with a presence service; connections are whoever their URL says. */
export async function startPresence(options: PresenceOptions<string> = {}, engine?: Engine) {
  const transport = memory()
  const lines: string[] = []
  const level = (message: object | string, text?: string) => void lines.push(String(text ?? message))
  const app = new Server({
    transport,
    env: 'test',
    log: { debug() {}, info() {}, warn: level, error: level },
    // Whoever is lost has left, but for the grace: nothing is resumed.
    resume: false,
    ...(engine && { engine }),
    // What the engine is asked for here is the service's only.
    cluster: false,
    authenticate: ({ url }) => ({ id: new URL(url, 'http://x').searchParams.get('user') ?? 'nobody' }),
  }).service('presence', presence<string>({ interval: 0, ...options }))
  await app.start()
  const heard: string[] = []
  app.api.presence.on('joined', (channel, user) => heard.push(`${user} joined ${channel}`))
  app.api.presence.on('left', (channel, user) => heard.push(`${user} left ${channel}`))
  /** A connected client, and how its link is lost. */
  const client = async (user: string) => {
    const links = memoryClient(transport, { url: `/?user=${user}` })
    let link: ClientLink | undefined
    const made = createClient<typeof app>({
      url: 'memory:',
      transport: {
        open(...given) {
          link = links.open(...given)
          return link
        },
      },
      services: { presence: presenceClient },
      reconnect: { minDelay: 1, maxDelay: 1 },
    })
    await made.connect()
    cleanups.push(() => made.close())
    return { client: made, presence: made.api.presence, lose: () => link!.close(4500, 'lost') }
  }
  cleanups.push(() => app.stop({ drain: 0 }))
  return { app, api: app.api.presence, transport, client, heard, lines }
}

/** Who is in a room, as one text: `ann(1) bob(0)`. */
export function seen(room: RemotePresence<unknown>): string {
  return room
    .getSnapshot()
    .members.map(({ user, devices }) => `${user}(${devices.map(({ meta }) => meta).join(',')})`)
    .join(' ')
}

/** Waits until a room looks like this. */
export function until(room: RemotePresence<unknown>, looks: () => boolean): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      if (!looks()) return
      off()
      resolve()
    }
    const off = room.subscribe(look)
    look()
  })
}
