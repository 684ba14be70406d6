import type { Published } from '../../engines/log.js'
import type { ServiceServer } from '../service.js'
import type { Channels } from './channels.js'
import type { EventArgs } from './client.js'
import { checkName, invalid } from './names.js'

/**
 * Publishes events from the server.
 *
 * All throw `INVALID_ARGUMENTS` for a channel or an event that is not a string of 1 to 256
 * characters without control characters, and `UNENCODABLE` for arguments that cannot be sent.
 */
export interface Publish<M> {
  /** To every connection. */
  all<E extends keyof M & string>(event: E, ...args: EventArgs<M, E>): void
  /** To the subscribers of a channel. Does not wait: where it has a history, failures are logged. */
  channel<E extends keyof M & string>(channel: string, event: E, ...args: EventArgs<M, E>): void
  /** To every connection of a session; returns how many there are. */
  session<E extends keyof M & string>(sessionId: string, event: E, ...args: EventArgs<M, E>): number
  /** To one connection; false when it has gone. */
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

/** Publishes without histories. */
export function publisher<M>(server: ServiceServer, options: SpareOptions = {}): Publish<M> {
  const spare = spared(options)
  return {
    all: (event, ...args) => server.broadcast(toMessage(event, args), spare),
    channel: (channel, event, ...args) =>
      server.topic(checkName(channel, 'channel')).publish(toMessage(event, args), spare),
    session: (sessionId, event, ...args) => server.sendToSession(sessionId, toMessage(event, args), spare),
    connection(connectionId, event, ...args) {
      const message = toMessage(event, args)
      return connectionId !== spare.except && server.send(connectionId, message)
    },
    with: more => publisher(server, { ...options, ...more }),
  }
}

/** Publishes to channels by their rules. */
export function channelsPublisher<M>(
  server: ServiceServer,
  channels: Channels,
  options: ChannelPublishOptions = {},
): ChannelsPublish<M> {
  const { key, ...spare } = options
  const plain = publisher<M>(server, spare)
  const only = <Method extends (...args: never[]) => unknown>(method: Method): Method =>
    key === undefined ? method : (refuseKey as unknown as Method)
  return {
    all: only(plain.all),
    session: only(plain.session),
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
  throw invalid('A key counts for channels with a history only')
}

function spared({ except }: SpareOptions): { readonly except?: string } {
  if (except === undefined) return {}
  if (typeof except === 'string') return { except }
  throw invalid('`except` is the id of a connection, such as ctx.connectionId')
}

function toMessage(event: string, args: readonly unknown[]): unknown[] {
  return [checkName(event, 'event'), ...args]
}
