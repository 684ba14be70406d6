import type { ServiceClient } from '../service.js'
import type { PagePart, PresenceClient, PresencePage } from './api.js'
import { type Change, isGone, isPassing, RemoteRoom, type RoomHost, type Row } from './remote-room.js'

export type {
  PagePart,
  PresenceClient,
  PresenceDevice,
  PresenceMember,
  PresencePage,
  PresenceSnapshot,
  RemotePresence,
} from './api.js'

const MIN_DELAY = 500
const MAX_DELAY = 30_000
const MAX_EARLY = 256

/**
 * The client half of presence, for browsers and Node.
 *
 * @example
 * const client = createClient<typeof app>({ url, services: { presence: presenceClient } })
 * await client.connect()
 * await client.api.presence.join('room:1', { name: 'Ann' })
 * const room = client.api.presence.watch('room:1')
 * room.subscribe(() => console.log(room.getSnapshot().members))
 */
export const presenceClient = {
  client<Meta = unknown>(service: ServiceClient): PresenceClient<Meta> {
    /** What this client says of itself, by channel: said again after a reconnect. */
    const joined = new Map<string, { meta: unknown; delay: number }>()
    const rooms = new Map<string, RemoteRoom>()
    /** The name of this device, over reconnects: whoever comes back with it has not been away. */
    const device = Array.from(crypto.getRandomValues(new Uint8Array(10)), byte =>
      byte.toString(16).padStart(2, '0'),
    ).join('')
    /** Changes of runs whose answer has come but is not handled yet, or that are over. */
    let early: [run: number, ...Change][] = []
    const host: RoomHost = {
      call: payload => service.call(payload),
      early(run) {
        const found = early.filter(([of]) => of === run)
        early = early.filter(([of]) => of !== run)
        return found.map(([, ...change]) => change)
      },
      closed: room => void (rooms.get(room.channel) === room && rooms.delete(room.channel)),
      later(callback, ms) {
        const timer = setTimeout(callback, ms * (0.5 + Math.random() / 2))
        // Node would wait for it.
        ;(timer as { unref?(): void }).unref?.()
      },
    }

    service.onmessage = message => {
      if (!Array.isArray(message)) return
      const [run, ...change] = message as [number, ...Change]
      if (run === 0) return renew()
      // The server has taken this client out.
      if (run === -1) return void joined.delete(message[1] as string)
      for (const room of rooms.values()) if (room.run === run) return room.change(...change)
      early.push(message as [number, ...Change])
      if (early.length > MAX_EARLY) early.shift()
    }

    return {
      async join(channel, ...[meta]) {
        const entry = { meta, delay: MIN_DELAY }
        const before = joined.get(channel)
        joined.set(channel, entry)
        try {
          await service.call(['join', channel, meta, device])
        } catch (error) {
          // What this client is not, it must not be after a reconnect; what it was before, it is.
          if (joined.get(channel) === entry && !isGone(error)) {
            if (before === undefined) joined.delete(channel)
            else joined.set(channel, before)
          }
          throw error
        }
      },
      async leave(channel) {
        joined.delete(channel)
        await service.call(['leave', channel])
      },
      watch(channel) {
        let room = rooms.get(channel)
        if (room === undefined) {
          room = new RemoteRoom(host, channel)
          rooms.set(channel, room)
        }
        return room.open() as never
      },
      count: channel => service.call(['count', channel]) as Promise<number>,
      async list(channel, { after, limit }: PagePart = {}) {
        const page = ['page', channel, after ?? null, limit ?? null]
        const [rows, next] = (await service.call(page)) as [Row[], string | null]
        const members = rows.map(([user, devices = []]) => ({
          user,
          devices: devices.map(([id, meta]) => ({ id, meta })),
        }))
        return { members, next: next ?? undefined } as PresencePage<Meta>
      },
    }

    /** A new connection: everything is said and asked again. */
    function renew(): void {
      early = []
      for (const [channel, entry] of joined) rejoin(channel, entry)
      for (const room of rooms.values()) room.renew()
    }

    function rejoin(channel: string, entry: { meta: unknown; delay: number }): void {
      service.call(['join', channel, entry.meta, device]).then(
        () => {
          entry.delay = MIN_DELAY
        },
        error => {
          if (joined.get(channel) !== entry || isGone(error)) return
          if (!isPassing(error)) return void joined.delete(channel)
          host.later(() => joined.get(channel) === entry && rejoin(channel, entry), entry.delay)
          entry.delay = Math.min(entry.delay * 2, MAX_DELAY)
        },
      )
    }
  },
}
