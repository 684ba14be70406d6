import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { presenceClient } from '../../src/services/presence/client.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsubClient } from '../../src/services/pubsub/client.js'

/** With these a call is made again: with its key it is not done twice. */
const PASSING = ['CONNECTION_LOST', 'NOT_CONNECTED', 'DRAINING', 'DRAIN_TIMEOUT', 'IDEMPOTENCY_RUNNING']

/** What goes to a connection without being kept: to all, to its user, to its topic, and to its room. */
const WAYS = ['all', 'own', 'topic', 'room'] as const
type Told = Record<(typeof WAYS)[number], string[]>

interface LoadOptions {
  /** Users are called so, with a number. */
  readonly name?: string
  /** Whether calls have idempotency keys and are repeated; otherwise one whose outcome nobody knows is given up. */
  readonly keyed?: boolean
  readonly reconnect?: false
}

interface Room {
  getSnapshot(): { readonly ready: boolean; readonly members: readonly { readonly user: string }[] }
  subscribe(listener: () => void): void
  readonly ready: Promise<unknown>
}

interface Api {
  readonly feed: {
    on(event: 'said', listener: (id: string) => void): void
    subscribe(channel: string): Promise<unknown>
  }
  readonly chat: {
    on(event: (typeof WAYS)[number], listener: (id: string) => void): void
    subscribe(channel: string): Promise<unknown>
  }
  readonly work: { publish(id: string): Promise<void>; enter(): Promise<void> }
  readonly here: { join(channel: string, meta: null): Promise<void>; watch(channel: string): Room }
}

/** Clients that call one after another, each for a publication that all of them hear. */
export async function connectLoad(url: string, count: number, options: LoadOptions = {}) {
  const { name = 'user', keyed = true, reconnect = { minDelay: 10, maxDelay: 200 } } = options
  const heard: string[][] = []
  const told: { readonly user: string; readonly of: Told }[] = []
  const done: string[] = []
  const doneBy = new Map<string, string[]>()
  const failed: string[] = []
  let isOver = false
  let wanted: { count: number; resolve: () => void } | undefined

  const clients = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const user = `${name} ${at}`
      const client = createClient({
        url: `${url}?user=${encodeURIComponent(user)}`,
        services: { chat: pubsubClient, feed: channelsClient, here: presenceClient },
        reconnect,
      })
      onTestFinished(() => client.close())
      await client.connect()
      const list: string[] = []
      heard.push(list)
      const api = client.api as unknown as Api
      api.feed.on('said', id => list.push(id))
      await api.feed.subscribe('work')
      await api.here.join('room', null)
      const of: Told = { all: [], own: [], topic: [], room: [] }
      for (const way of WAYS) api.chat.on(way, id => of[way].push(id))
      await api.chat.subscribe('topic')
      await api.work.enter()
      told.push({ user, of })
      doneBy.set(user, [])
      return { client, user }
    }),
  )
  type One = (typeof clients)[number]
  const apiOf = (client: Pick<One['client'], 'api'>) => client.api as unknown as Api

  async function call({ client, user }: One, id: string): Promise<void> {
    const { work } = apiOf(keyed ? client.with({ idempotencyKey: id }) : client)
    while (!isOver) {
      try {
        await work.publish(id)
        done.push(id)
        doneBy.get(user)!.push(id)
        if (wanted && done.length >= wanted.count) wanted.resolve()
        return
      } catch (error) {
        const { code, data } = error as { code: string; data?: { accepted?: unknown } }
        if (!PASSING.includes(code)) return void failed.push(code)
        const isUnknown = code === 'CONNECTION_LOST' && data?.accepted !== false
        if (!keyed && isUnknown) return
        await connected(client)
      }
    }
  }

  const loops = clients.map(async one => {
    while (!isOver && !(reconnect === false && one.client.status === 'closed')) await call(one, randomUUID())
  })

  return {
    heard,
    /** What each was told without its being kept. */
    told,
    /** Calls that are done, by who made them. */
    doneBy,
    /** Resolves when so many more calls are done. */
    calls(more: number): Promise<void> {
      return new Promise(resolve => {
        wanted = { count: done.length + more, resolve }
      })
    },
    /** Users that were in the room and are not any more, as they go. */
    async watch(): Promise<string[]> {
      const room = apiOf(clients[0]!.client).here.watch('room')
      await room.ready
      const absences: string[] = []
      let before = new Set(room.getSnapshot().members.map(({ user }) => user))
      room.subscribe(() => {
        const { ready, members } = room.getSnapshot()
        if (!ready) return
        const now = new Set(members.map(({ user }) => user))
        for (const user of before) if (!now.has(user)) absences.push(user)
        before = now
      })
      return absences
    },
    async stop() {
      isOver = true
      await Promise.all(loops)
      return { done, failed }
    },
  }
}

/** Whether nobody heard two things in another order than anybody else. */
export function isOneSequence(heard: readonly (readonly string[])[]): boolean {
  const [longest = []] = [...heard].sort((a, b) => b.length - a.length)
  const places = new Map(longest.map((id, at) => [id, at]))
  return heard.every(list => list.every((id, at) => at === 0 || places.get(list[at - 1]!)! < places.get(id)!))
}

/** Resolves once a client is connected, or closed for good. */
function connected(client: {
  readonly status: string
  on(event: 'status', listener: () => void): () => void
}) {
  return new Promise<void>(resolve => {
    const look = (): void => {
      if (client.status !== 'connected' && client.status !== 'closed') return
      end?.()
      // The refusal may have come before the end of the connection is known.
      setImmediate(resolve)
    }
    let end: (() => void) | undefined
    end = client.on('status', look)
    look()
  })
}
