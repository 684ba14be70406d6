import { SocketStreamError } from '../../errors.js'
import { contextOf } from '../request-context.js'
import type { Connection, ServiceClient, ServiceDefinition, ServiceServer, Whose } from '../service.js'
import { readPublish } from './calls.js'
import { type ChannelsOptions, type ChannelsService, channelsService } from './channels-service.js'
import { pubsubTextClient } from './classic.js'
import { type PubSubClient, pubsubClient } from './client.js'
import type { CallMap, HandlersOf } from './client-calls.js'
import { allow, HOOKS, type Hooks } from './hooks.js'
import { Listeners } from './listeners.js'
import { checkName } from './names.js'
import { type Publish, publisher } from './publish.js'
import { Standing } from './standing.js'
import { type PubSubRooms, rooms } from './to.js'

/** Events by name, each with the list of its arguments. */
export type EventMap = Record<string, unknown[]>

/** Who may do what, in all channels. */
export interface PubSubOptions extends Hooks {
  /** Options of channels; with them the service is a `ChannelsService`. */
  readonly channels?: never
}

/** The server-side API of a PubSub service. */
export interface PubSubServer<M, C = CallMap> extends PubSubRooms<M, C> {
  readonly publish: Publish<M>
  /**
   * Has clients hear a channel without having asked: those of a session, of a user, or one connection.
   *
   * It stands until `unsubscribe`, or the end of the connection; who is of the session or user when something is
   * published hears it, once, though subscribed itself. False when it stood already, or the connection has gone.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`; `OVERLOADED` past 100,000 of a service
   */
  subscribe(whose: Whose, channel: string): boolean
  /** Takes back one `subscribe`; what clients have subscribed themselves stands. False when there is none. */
  unsubscribe(whose: Whose, channel: string): boolean
}

/** A PubSub service of these events. */
export interface PubSubService<M, C = CallMap> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): PubSubServer<M, C>
  client(client: ServiceClient): PubSubClient<M> & HandlersOf<C>
}

/**
 * A service that publishes events to all clients, to channels, sessions and connections.
 *
 * Clients may subscribe to any channel and publish to none; the hooks change that. With `channels` they have
 * options by name or pattern: histories, from which clients recover what they have missed.
 *
 * The second type parameter has the functions of clients that the server calls, which answer by `handling()`.
 *
 * @throws SocketStreamError `INVALID_OPTION` for an unknown option or a hook that is no function
 * @example
 * const app = new Server().service('chat', pubsub<{ said: [who: string, what: string] }>({
 *   canSubscribe: (ctx, channel) => channel.startsWith('public:') || ctx.session.user !== undefined,
 *   channels: { 'public:*': { history: { size: 100, ttl: 3_600_000 } } },
 * }))
 * await app.start()
 * await app.api.chat.publish.acknowledged('public:lobby', 'said', 'server', 'Welcome')
 */
export function pubsub<M extends Record<keyof M, unknown[]> = EventMap, C = CallMap>(
  options: ChannelsOptions,
): ChannelsService<M, C>
export function pubsub<M extends Record<keyof M, unknown[]> = EventMap, C = CallMap>(
  options?: PubSubOptions,
): PubSubService<M, C>
export function pubsub<M extends Record<keyof M, unknown[]> = EventMap, C = CallMap>(
  options: PubSubOptions | ChannelsOptions = {},
): PubSubService<M, C> | ChannelsService<M, C> {
  checkOptions(options)
  if (options.channels !== undefined) return channelsService<M, C>(options)
  const { canSubscribe, canPublish } = options
  return {
    type: 'pubsub',
    use: { json: true, callbacks: true, sessions: canSubscribe !== undefined || canPublish !== undefined },
    server(server) {
      const standing = new Standing(server)
      const listeners = new Listeners(server)
      const toChannel = (
        channel: string,
        message: readonly unknown[],
        except?: string,
        connection?: Connection,
      ): void => {
        server.relay?.({ channel }, message, except === undefined ? {} : { except })
        toSubscribers(channel, message, except)
        listeners.tell(message, { channel, ...(connection && { connection }) })
      }
      const toSubscribers = (channel: string, message: readonly unknown[], except?: string): void => {
        const topic = server.topic(channel)
        topic.publish(message, except === undefined ? {} : { except })
        if (standing.occupies(channel)) {
          const others = [...standing.of(channel)].filter(one => one.id !== except && !topic.has(one))
          server.sendToSocketIds(
            others.map(({ id }) => id),
            message,
          )
        }
      }
      server.onrelayed = (channel, message, { except }) =>
        toSubscribers(channel, message as readonly unknown[], except)
      server.onclose = connection => void standing.closed(connection)
      server.onsubscribe = (request, channel) => {
        checkName(channel, 'channel')
        if (canSubscribe === undefined) return undefined
        return allow(canSubscribe(contextOf(request), channel), () => undefined)
      }
      server.oncall = (request, responder) => {
        const { channel, event, args } = readPublish(request.message)
        const publish = (): void => {
          if (responder.ended) return
          const message = [event, ...args]
          if (channel === undefined) {
            server.relay?.({ all: true }, message)
            server.broadcast(message)
          } else toChannel(channel, message, undefined, request.connection)
          responder.reply(null)
        }
        return allow(canPublish?.(contextOf(request), channel, event, args), publish)
      }
      return {
        ...rooms<M, C>(server, listeners),
        publish: publisher(server, toChannel),
        subscribe: (whose, channel) => standing.add(whose, channel),
        unsubscribe: (whose, channel) => standing.remove(whose, channel),
      }
    },
    client: pubsubClient.client as PubSubService<M, C>['client'],
    textClient: pubsubTextClient,
  }
}

function checkOptions(options: PubSubOptions | ChannelsOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (name === 'channels') continue
    if (!(HOOKS as readonly string[]).includes(name)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `pubsub: there is no option '${name}', only channels, ${HOOKS.join(', ')}`,
      )
    }
    if (value !== undefined && typeof value !== 'function') {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `pubsub: ${name} must be a function (ctx, channel) => boolean`,
      )
    }
  }
}
