import { SocketStreamError } from '../../errors.js'
import { contextOf, type RequestContext } from '../request-context.js'
import type { ServiceClient, ServiceDefinition, ServiceServer } from '../service.js'
import { type EventArgs, type PubSubClient, pubsubClient } from './client.js'

/** Events by name, each with the list of its arguments. */
export type EventMap = Record<string, unknown[]>

/** Who asks: given to the hooks. */
export type PubSubContext = RequestContext

/** A hook's verdict: only `true` allows. */
export type Verdict = boolean | Promise<boolean>

/** Who may do what. A hook refuses by anything but `true`, or by throwing an error with a code of its own. */
export interface PubSubOptions {
  /** Whether a client may subscribe to a channel. Default: every client may. */
  readonly canSubscribe?: (ctx: PubSubContext, channel: string) => Verdict
  /**
   * Whether a client may publish; `channel` is undefined when it is to reach all. Default: none may.
   *
   * `event` and `args` are as they came, unchecked beyond the length of the event's name.
   */
  readonly canPublish?: (
    ctx: PubSubContext,
    channel: string | undefined,
    event: string,
    args: readonly unknown[],
  ) => Verdict
}

/**
 * Publishes events from the server.
 *
 * All throw `INVALID_ARGUMENTS` for a channel or an event that is not a string of 1 to 256
 * characters without control characters, and `UNENCODABLE` for arguments that cannot be sent.
 */
export interface Publish<M> {
  /** To every connection. */
  all<E extends keyof M & string>(event: E, ...args: EventArgs<M, E>): void
  /** To the subscribers of a channel. */
  channel<E extends keyof M & string>(channel: string, event: E, ...args: EventArgs<M, E>): void
  /** To every connection of a session; returns how many there are. */
  session<E extends keyof M & string>(sessionId: string, event: E, ...args: EventArgs<M, E>): number
  /** To one connection; false when it has gone. */
  connection<E extends keyof M & string>(connectionId: string, event: E, ...args: EventArgs<M, E>): boolean
}

/** The server-side API of a PubSub service. */
export interface PubSubServer<M> {
  readonly publish: Publish<M>
}

/** A PubSub service of these events. */
export interface PubSubService<M> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): PubSubServer<M>
  client(client: ServiceClient): PubSubClient<M>
}

const MAX_NAME = 256
const HOOKS = ['canSubscribe', 'canPublish']

/**
 * A service that publishes events to all clients, to channels, sessions and connections.
 *
 * Clients may subscribe to any channel and publish to none; the hooks change that.
 *
 * @throws SocketStreamError `INVALID_OPTION` for an unknown option or a hook that is no function
 * @example
 * const app = new Server().service('chat', pubsub<{ said: [who: string, what: string] }>({
 *   canSubscribe: (ctx, channel) => channel.startsWith('public:') || ctx.session.user !== undefined,
 * }))
 * app.api.chat.publish.channel('public:lobby', 'said', 'server', 'Welcome')
 */
export function pubsub<M extends Record<keyof M, unknown[]> = EventMap>(
  options: PubSubOptions = {},
): PubSubService<M> {
  checkOptions(options)
  const { canSubscribe, canPublish } = options
  return {
    type: 'pubsub',
    use: { json: true, callbacks: true, sessions: canSubscribe !== undefined || canPublish !== undefined },
    server(server) {
      server.onsubscribe = (request, channel) => {
        checkName(channel, 'channel')
        if (canSubscribe === undefined) return undefined
        return allow(canSubscribe(contextOf(request), channel), () => undefined)
      }
      server.oncall = (request, responder) => {
        const { channel, event, args } = checkPublish(request.message)
        const publish = (): void => {
          if (responder.ended) return
          const message = [event, ...args]
          if (channel === undefined) server.broadcast(message)
          else server.topic(channel).publish(message)
          responder.reply(null)
        }
        return allow(canPublish?.(contextOf(request), channel, event, args), publish)
      }
      return { publish: publisher(server) }
    },
    client: pubsubClient.client<M>,
  }
}

function publisher<M>(server: ServiceServer): Publish<M> {
  return {
    all: (event, ...args) => server.broadcast(toMessage(event, args)),
    channel: (channel, event, ...args) =>
      server.topic(checkName(channel, 'channel')).publish(toMessage(event, args)),
    session: (sessionId, event, ...args) => server.sendToSession(sessionId, toMessage(event, args)),
    connection: (connectionId, event, ...args) => server.send(connectionId, toMessage(event, args)),
  }
}

function toMessage(event: string, args: readonly unknown[]): unknown[] {
  return [checkName(event, 'event'), ...args]
}

/** Goes on if the verdict is `true`, at once if it is there at once. */
function allow(verdict: Verdict | undefined, then: () => void): unknown {
  if (isPromise(verdict)) return verdict.then(settled => allow(settled === true, then))
  if (verdict !== true) {
    throw new SocketStreamError('FORBIDDEN', 'The service does not allow this to this client')
  }
  return then()
}

function isPromise(verdict: unknown): verdict is Promise<boolean> {
  return typeof (verdict as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Checks `['publish', channel, event, ...args]`, where null for a channel means all clients. */
function checkPublish(message: unknown): { channel: string | undefined; event: string; args: unknown[] } {
  if (!Array.isArray(message)) {
    throw new SocketStreamError(
      'INVALID_ARGUMENTS',
      "A call is an array: ['publish', channel, event, ...args]",
    )
  }
  const [method, channel, event, ...args] = message as unknown[]
  if (method !== 'publish') {
    throw new SocketStreamError('UNKNOWN_METHOD', "The only method of this service is 'publish'")
  }
  return {
    channel: channel === null || channel === undefined ? undefined : checkName(channel, 'channel'),
    event: checkName(event, 'event'),
    args,
  }
}

function checkName(name: unknown, what: 'channel' | 'event'): string {
  if (typeof name === 'string' && name !== '' && name.length <= MAX_NAME && !/\p{Cc}/u.test(name)) return name
  throw new SocketStreamError(
    'INVALID_ARGUMENTS',
    `The name of ${what === 'event' ? 'an event' : 'a channel'} is a string of 1 to ${MAX_NAME} characters, none of them a control character`,
  )
}

function checkOptions(options: PubSubOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (!HOOKS.includes(name)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `pubsub: there is no option '${name}', only ${HOOKS.join(', ')}`,
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
