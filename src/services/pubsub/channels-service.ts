import type { HistoryOptions, HistoryPage, LogEntry } from '../../engines/log.js'
import { contextOf } from '../request-context.js'
import type {
  BacklogStatistics,
  Request,
  Responder,
  ServiceClient,
  ServiceDefinition,
  ServiceServer,
  Whose,
} from '../service.js'
import { keyOf, readCall } from './calls.js'
import { Channels, type OccupancyListener } from './channels.js'
import type { ChannelsClient, HistoryEntry } from './channels-api.js'
import { channelsClient } from './channels-client.js'
import { pubsubTextClient } from './classic.js'
import type { CallMap, HandlersOf } from './client-calls.js'
import { lineOf, publicationOf } from './entry.js'
import { allow, forbidden, type Hooks } from './hooks.js'
import { Members } from './members.js'
import { Moves } from './moves.js'
import { checkName } from './names.js'
import type { ChannelEvent } from './occupancy.js'
import { PlainSubscribers } from './plain.js'
import { type ChannelsPublish, channelsPublisher } from './publish.js'
import { type ChannelOptions, ChannelRules } from './rules.js'
import { type PubSubRooms, rooms } from './to.js'

/** Options of a PubSub service whose channels have options. */
export interface ChannelsOptions extends Hooks {
  /** Options by channel: a name, or a beginning with `*` behind it. The longest that fits counts. */
  readonly channels: Readonly<Record<string, ChannelOptions>>
}

/** A page of a history, read on the server. */
export interface ServerHistoryPage<M> extends Omit<HistoryPage, 'entries'> {
  readonly entries: readonly HistoryEntry<M>[]
}

/** The server-side API of a PubSub service with `channels`. */
export interface ChannelsServer<M, C = CallMap> extends PubSubRooms<M, C> {
  readonly publish: ChannelsPublish<M>
  /**
   * Has clients hear a channel without having asked: those of a session, of a user, or one connection.
   *
   * Stands until `unsubscribe`, or the end of the connection. Of a channel with a history clients with the half that
   * recovers hear what is published while they are there, and from the first of it on recover what they miss.
   *
   * Resolves to false when it stood already, or the connection has gone. Rejects with `INVALID_ARGUMENTS`,
   * `OVERLOADED` past 100,000 of a service, or what the engine refuses it with.
   */
  subscribe(whose: Whose, channel: string): Promise<boolean>
  /** Takes back one `subscribe`; what clients have subscribed themselves stands. False when there is none. */
  unsubscribe(whose: Whose, channel: string): boolean
  /** Reads what is kept of a channel: at most `limit` entries, default 1,000, after `since`. */
  history(channel: string, options?: HistoryOptions): Promise<ServerHistoryPage<M>>
  /**
   * Listens to channels that get their first subscriber, or lose their last.
   *
   * In a cluster one of the servers that have subscribers is told `occupied`, and when it has none any more `vacated`; another one
   * that still has is told `occupied` next, both with `moved: true`. Every server has to listen before clients come. With `local`
   * each is told of its own subscribers alone.
   *
   * @returns a function that ends it
   */
  on(event: ChannelEvent, listener: OccupancyListener, options?: { readonly local?: boolean }): () => void
  /** How many channels are occupied on this server, and how their slow subscribers fare. */
  readonly statistics: BacklogStatistics & { readonly channels: number }
}

/** A PubSub service of these events, whose channels have options. */
export interface ChannelsService<M, C = CallMap> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): ChannelsServer<M, C>
  client(client: ServiceClient): ChannelsClient<M> & HandlersOf<C>
}

/** The same file seen from `src/` and from `dist/`. */
const CLIENT_MODULE = {
  url: new URL(
    import.meta.url.endsWith('.ts') ? './channels-client.ts' : './channels-client.js',
    import.meta.url,
  ),
  export: 'channelsClient',
}

/** Makes the service. @throws SocketStreamError `INVALID_OPTION` */
export function channelsService<M, C>({ channels, ...hooks }: ChannelsOptions): ChannelsService<M, C> {
  const rules = new ChannelRules(channels, hooks)
  const asked = rules.all.some(rule => (rule.canSubscribe ?? rule.canPublish) !== undefined)
  return {
    type: 'pubsub',
    use: { json: true, callbacks: true, sessions: asked },
    server: server => serve<M, C>(server, new Channels(server, rules)),
    client: channelsClient.client as ChannelsService<M, C>['client'],
    clientModule: CLIENT_MODULE,
    textClient: pubsubTextClient,
  }
}

function serve<M, C>(server: ServiceServer, channels: Channels): ChannelsServer<M, C> {
  const { rules } = channels
  const members = new Members(channels)
  const plain = new PlainSubscribers(server, channels)
  const moves = new Moves(channels, members, plain)

  const maySubscribe = <T>(request: Request, channel: string, then: () => T): T | Promise<T> => {
    const { canSubscribe } = rules.of(channel)
    return canSubscribe === undefined ? then() : allow(canSubscribe(contextOf(request), channel), then)
  }

  server.onopen = ({ id }) => void server.send(id, [0])
  server.ondetach = connection => members.detached(connection)
  server.onresume = connection => members.back(connection)
  server.onclose = connection => {
    members.closed(connection)
    channels.closed(connection)
  }
  server.onmove = connection => moves.leaving(connection)
  server.onmoved = server.onclose
  server.onarrive = (connection, state) => moves.arrive(connection, state)
  server.onunsubscribe = (connection, name) => plain.left(connection, name)
  server.onstop = () => channels.close()
  server.onrelayed = (channel, message, options) => channels.relayed(channel, message, options)
  server.onchannels = () => channels.counts()
  server.onsubscribe = (request, name) =>
    maySubscribe(request, checkName(name, 'channel'), () => plain.subscribe(request, name))
  server.oncall = (request, responder) => {
    const call = readCall(request.message)
    switch (call.method) {
      case 'publish':
        return publish(request, responder, call)
      case 'subscribe': {
        const { channel, told } = call
        return members.subscribe(request, responder, call, then => {
          if (!told) return maySubscribe(request, channel, then)
          if (!channels.hasSubscribed(request.connection, channel)) throw forbidden()
          return then()
        })
      }
      case 'unsubscribe':
        members.leave(request.connection, call.channel)
        return responder.reply(null)
      case 'history':
        return maySubscribe(request, call.channel, async () => {
          const page = await channels.history(call.channel, call.options)
          if (!responder.ended) answerPage(responder, page, request.connectionId, server.limits.maxFrame / 2)
        })
    }
  }
  return {
    ...rooms<M, C>(server, channels.listeners),
    publish: channelsPublisher(server, channels),
    subscribe: (whose, channel) => channels.subscribe(whose, channel),
    unsubscribe(whose, channel) {
      const connections = channels.unsubscribe(whose, channel)
      for (const connection of connections ?? []) {
        if (channels.hasSubscribed(connection, channel)) continue
        members.leaveTold(connection, channel)
        server.send(connection.id, [-1, channel])
      }
      return connections !== undefined
    },
    on: (event, listener, options) => channels.on(event, listener, options),
    get statistics() {
      return channels.statistics
    },
    async history(channel, options) {
      const { entries, ...page } = await channels.history(channel, options)
      return { ...page, entries: entries.flatMap(entry => readEntry<M>(entry)) }
    },
  }

  function publish(
    request: Request,
    responder: Responder,
    call: Extract<ReturnType<typeof readCall>, { method: 'publish' }>,
  ): unknown {
    const { channel, event, args, key } = call
    const { canPublish } = channel === undefined ? rules.service : rules.of(channel)
    return allow(canPublish?.(contextOf(request), channel, event, args), () => {
      if (responder.ended) return undefined
      if (channel === undefined) {
        server.broadcast([event, ...args])
        return responder.reply(null)
      }
      const { connection } = request
      const options = { connection, ...(key !== undefined && { key: keyOf(request.session.id, key) }) }
      const publishing = channels.publish(channel, event, args, options)
      return publishing === undefined
        ? responder.reply(null)
        : publishing.then(({ epoch, offset, duplicate }) => responder.reply([epoch, offset, duplicate]))
    })
  }
}

/** Answers `[epoch, offset, complete, reason, entries]`; of a page too large for a frame its beginning. */
function answerPage(responder: Responder, page: HistoryPage, connectionId: string, mostBytes: number): void {
  const { position, complete, reason } = page
  let bytes = 0
  let count = page.entries.findIndex(({ payload }) => {
    bytes += payload.length + 32
    return bytes > mostBytes
  })
  // One at least, or nobody would ever get past it.
  count = count < 0 ? page.entries.length : Math.max(count, 1)
  for (;;) {
    const entries = page.entries.slice(0, count).map(entry => [entry.time, ...lineOf(entry, connectionId)])
    const whole = complete && count === page.entries.length
    try {
      return responder.reply([position.epoch, position.offset, whole, reason ?? null, entries])
    } catch (error) {
      if (count <= 1) throw error
      count >>= 1
    }
  }
}

function readEntry<M>(entry: LogEntry): HistoryEntry<M>[] {
  const [event, ...args] = publicationOf(entry).message
  return event === undefined
    ? []
    : [{ offset: entry.offset, time: entry.time, event, args } as HistoryEntry<M>]
}
