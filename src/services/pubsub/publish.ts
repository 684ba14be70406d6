import type { Published } from '../../engines/log.js'
import type { ServiceServer } from '../service.js'
import type { Channels } from './channels.js'
import type { EventArgs } from './client.js'
import type { Tags } from './filters.js'
import { checkName, invalid, toMessage } from './names.js'

/**
 * Publishes events from the server.
 *
 * All throw `INVALID_ARGUMENTS` for a channel or an event that is not a string of 1 to 256
 * characters without control characters, and `UNENCODABLE` for arguments that cannot be sent.
 */
export interface Publish<M> {
  /** To every connection, of all servers of a cluster. */
  all<E extends keyof M & string>(event: E, ...args: EventArgs<M, E>): void
  /** To the subscribers of a channel. Does not wait: where it has a history, failures are logged. */
  channel<E extends keyof M & string>(channel: string, event: E, ...args: EventArgs<M, E>): void
  /** To every connection of a session, wherever in a cluster; returns how many there are on this server. */
  session<E extends keyof M & string>(sessionId: string, event: E, ...args: EventArgs<M, E>): number
  /**
   * To every connection of a user, whichever session it has and server it is on; returns how many there are on this one.
   *
   * The user is `connection.userId` of the moment. What it costs grows with that user's connections only.
   */
  user<E extends keyof M & string>(userId: string, event: E, ...args: EventArgs<M, E>): number
  /** To one connection; false when it has gone. In a cluster true when it may be on another server. */
  connection<E extends keyof M & string>(connectionId: string, event: E, ...args: EventArgs<M, E>): boolean
  /** The same methods, that spare one connection. */
  with(options: SpareOptions): Publish<M>
}

/** Who is not to hear. */
export interface SpareOptions {
  /** The id of a connection, such as `ctx.connectionId`. */
  readonly except?: string
}

/** Options of publications to channels with a history. */
export interface ChannelPublishOptions extends SpareOptions {
  /** Of publications to a channel with the same key, within 5 minutes and an epoch, only the first counts. */
  readonly key?: string
  /**
   * What the filters of subscriptions look at, as in `{ severity: 'high' }`: 1 to 16 strings.
   *
   * Subscribers without a filter hear it as well; so do plain ones.
   */
  readonly tags?: Tags
}

/** Publishes events from a server that has channels with histories. */
export interface ChannelsPublish<M> extends Publish<M> {
  /**
   * To a channel with a history: resolves to where it stands once the engine has it.
   *
   * Rejects with `ENGINE_UNAVAILABLE` when nobody knows whether it was published: with a `key` it can be repeated.
   */
  acknowledged<E extends keyof M & string>(
    channel: string,
    event: E,
    ...args: EventArgs<M, E>
  ): Promise<Published>
  /** The same methods, that spare one connection, or publish once only. */
  with(options: ChannelPublishOptions): ChannelsPublish<M>
}

/** Publishes `[event, ...args]` to a channel, sparing one connection. */
type ToChannel = (channel: string, message: unknown[], except: string | undefined) => void

/** Publishes without histories. */
export function publisher<M>(
  server: ServiceServer,
  toChannel: ToChannel,
  options: SpareOptions = {},
): Publish<M> {
  const spare = spared(options)
  return {
    all(event, ...args) {
      const message = toMessage(event, args)
      server.relay?.({ all: true }, message, spare)
      server.broadcast(message, spare)
    },
    channel: (channel, event, ...args) =>
      toChannel(checkName(channel, 'channel'), toMessage(event, args), spare.except),
    session(sessionId, event, ...args) {
      const message = toMessage(event, args)
      server.relay?.({ session: sessionId }, message, spare)
      return server.sendToSession(sessionId, message, spare)
    },
    user(userId, event, ...args) {
      const message = toMessage(event, args)
      const user = userOf(userId)
      server.relay?.({ user }, message, spare)
      const ids = server.connectionsOf({ user }).map(({ id }) => id)
      return server.sendToSocketIds(
        ids.filter(id => id !== spare.except),
        message,
      )
    },
    connection(connectionId, event, ...args) {
      const message = toMessage(event, args)
      if (connectionId === spare.except) return false
      return (
        server.send(connectionId, message) || server.relay?.({ connection: connectionId }, message) === true
      )
    },
    with: more => publisher(server, toChannel, { ...options, ...more }),
  }
}

/** Publishes to channels by their rules. */
export function channelsPublisher<M>(
  server: ServiceServer,
  channels: Channels,
  options: ChannelPublishOptions = {},
): ChannelsPublish<M> {
  const { key, tags, ...spare } = options
  const plain = publisher<M>(server, refuseKey, spare)
  const only = <Method extends (...args: never[]) => unknown>(method: Method): Method =>
    key === undefined && tags === undefined ? method : (refuseKey as unknown as Method)
  return {
    all: only(plain.all),
    session: only(plain.session),
    user: only(plain.user),
    connection: only(plain.connection),
    channel(channel, event, ...args) {
      channels.publish(channel, event, args, options)?.catch(error => {
        server.log.error(`a publication to ${channel} failed`, { error })
      })
    },
    async acknowledged(channel, event, ...args) {
      if (channels.rules.of(checkName(channel, 'channel')).history === undefined) {
        throw invalid(`'${channel}' has no history, which acknowledges: use publish.channel(…)`)
      }
      return channels.publish(channel, event, args, options)!
    },
    with: more => channelsPublisher(server, channels, { ...options, ...more }),
  }
}

function refuseKey(): never {
  throw invalid(
    'A key counts for channels with a history only, and tags for channels: use publish.channel(…)',
  )
}

/** Ids of users are texts; numbers are what applications have. */
function userOf(userId: unknown): string {
  if ((typeof userId === 'string' && userId !== '') || typeof userId === 'number') return String(userId)
  throw invalid('The id of a user is a text, such as connection.userId')
}

function spared({ except }: SpareOptions): { readonly except?: string } {
  if (except === undefined) return {}
  if (typeof except === 'string') return { except }
  throw invalid('`except` is the id of a connection, such as ctx.connectionId')
}
