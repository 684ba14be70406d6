import type { Audience, ServiceAudience, ServiceServer } from '../service.js'
import type { EventArgs } from './client.js'
import type { ChannelListener, Listeners } from './listeners.js'
import { toMessage } from './names.js'

/**
 * Connections of this node by their rooms and ids, to which events are sent.
 *
 * @example
 * app.api.chat.to('room:1').to('staff').except(ctx.connectionId).emit('said', 'Ann', 'hello')
 */
export interface Addressed<M> extends Audience {
  /**
   * Sends an event to all of them, encoded once per codec; returns how many there are.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS` for the name of the event, `UNENCODABLE` for the arguments
   */
  emit<E extends keyof M & string>(event: E, ...args: EventArgs<M, E>): number
}

/** What the server's side of every PubSub service has besides publishing. */
export interface PubSubRooms<M> {
  /** The connections in rooms, or of ids, to `emit` to. @throws SocketStreamError `INVALID_ARGUMENTS` */
  to(names: string | readonly string[]): Addressed<M>
  /** Everybody but these. @throws SocketStreamError `INVALID_ARGUMENTS` */
  except(names: string | readonly string[]): Addressed<M>
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
function addressed<M>(audience: ServiceAudience): Addressed<M> {
  return {
    to: names => addressed<M>(audience.to(names)),
    except: names => addressed<M>(audience.except(names)),
    get size() {
      return audience.size
    },
    connections: () => audience.connections(),
    join: rooms => audience.join(rooms),
    leave: rooms => audience.leave(rooms),
    disconnect: reason => audience.disconnect(reason),
    emit: (event, ...args) => audience.send(toMessage(event, args)),
  }
}

/** The part that services with and without `channels` share. */
export function rooms<M>(server: ServiceServer, listeners: Listeners): PubSubRooms<M> {
  return {
    to: names => addressed<M>(server.to(names)),
    except: names => addressed<M>(server.except(names)),
    listen: (pattern, listener) => listeners.add(pattern, listener),
  }
}
