import type { ClientCallOptions } from '../call-many.js'
import type { Audience, ServiceAudience, ServiceServer } from '../service.js'
import type { EventArgs } from './client.js'
import { type CallMap, type CallsMany, type CallsOne, callsOne } from './client-calls.js'
import type { ChannelListener, Listeners } from './listeners.js'
import { toMessage } from './names.js'

/**
 * Connections by their rooms and ids, to which events are sent; `emit` reaches those of all servers of a cluster.
 *
 * @example
 * app.api.chat.to('room:1').to('staff').except(ctx.connectionId).emit('said', 'Ann', 'hello')
 */
export interface Addressed<M, C = CallMap> extends Audience, CallsMany<C> {
  /**
   * Sends an event to all of them, encoded once per codec; returns how many there are on this server.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS` for the name of the event, `UNENCODABLE` for the arguments
   */
  emit<E extends keyof M & string>(event: E, ...args: EventArgs<M, E>): number
  /** The same, whose calls have these options. */
  with(options: ClientCallOptions): Addressed<M, C>
}

/** What the server's side of every PubSub service has besides publishing. */
export interface PubSubRooms<M, C = CallMap> extends CallsOne<C> {
  /** Calls one client, with these options. */
  with(options: ClientCallOptions): CallsOne<C>
  /** The connections in rooms, or of ids, to `emit` to. @throws SocketStreamError `INVALID_ARGUMENTS` */
  to(names: string | readonly string[]): Addressed<M, C>
  /** Everybody but these. @throws SocketStreamError `INVALID_ARGUMENTS` */
  except(names: string | readonly string[]): Addressed<M, C>
  /**
   * Listens to what this server publishes to channels: of one name, or of a beginning with `*` behind it.
   *
   * Called once for each publication, its clients' and its own, in their order; on a channel with a history when
   * the engine has it. Not for what other servers publish, nor for events to all.
   *
   * @returns a function that ends it
   * @throws SocketStreamError `INVALID_ARGUMENTS`
   */
  listen(pattern: string, listener: ChannelListener<M>): () => void
}

/** Lets a service's audience take events. */
function addressed<M, C>(
  server: ServiceServer,
  audience: ServiceAudience,
  options?: ClientCallOptions,
): Addressed<M, C> {
  const again = (other: ServiceAudience): Addressed<M, C> => addressed<M, C>(server, other, options)
  return {
    to: names => again(audience.to(names)),
    except: names => again(audience.except(names)),
    get size() {
      return audience.size
    },
    connections: () => audience.connections(),
    join: rooms => audience.join(rooms),
    leave: rooms => audience.leave(rooms),
    disconnect: reason => audience.disconnect(reason),
    emit(event, ...args) {
      const message = toMessage(event, args)
      audience.relay?.(message)
      return audience.send(message)
    },
    call: (name, ...args) => {
      const ids = audience.connections().map(({ id }) => id)
      return server.callMany(ids, toMessage(name, args), options) as never
    },
    with: more => addressed<M, C>(server, audience, { ...options, ...more }),
  }
}

/** The part that services with and without `channels` share. */
export function rooms<M, C>(server: ServiceServer, listeners: Listeners): PubSubRooms<M, C> {
  return {
    ...callsOne<C>(server),
    with: options => callsOne<C>(server, options),
    to: names => addressed<M, C>(server, server.to(names)),
    except: names => addressed<M, C>(server, server.except(names)),
    listen: (pattern, listener) => listeners.add(pattern, listener),
  }
}
