import type { LogEntry, Position } from '../../engines/log.js'
import { SocketStreamError } from '../../errors.js'
import type { Connection, Request, Responder } from '../service.js'
import type { Channel } from './channel.js'
import type { Channels } from './channels.js'
import { lineOf } from './entry.js'
import type { Recovery } from './recoveries.js'

/** One asked for or standing subscription; another object when it is asked for anew. */
interface Membership {
  channel: Channel | undefined
}

/** The connections that subscribe by calls and recover, each with its channels. */
export class Members {
  readonly #channels: Channels
  readonly #byConnection = new Map<string, Map<string, Membership>>()

  constructor(channels: Channels) {
    this.#channels = channels
  }

  /**
   * Subscribes, and answers `[run, epoch, offset, recovered, reason, entries]`.
   *
   * Asked again it takes the place of the subscription before. What it was refused is not subscribed.
   *
   * @param allow asks whether the client may; calls on at once or later
   */
  subscribe(
    request: Request,
    responder: Responder,
    name: string,
    since: Position | undefined,
    allow: (then: () => Promise<void> | undefined) => unknown,
  ): unknown {
    const { connection } = request
    // Its end has been told already: nobody would clear away what it is entered for.
    if (!connection.open) return undefined
    const membership = this.#enter(connection, name)
    const failed = (error: unknown): void => {
      if (this.#stands(connection, name, membership)) this.leave(connection, name)
      responder.error(error)
    }
    const go = (): Promise<void> | undefined => {
      if (!connection.open || responder.ended) {
        if (this.#stands(connection, name, membership)) this.leave(connection, name)
        return undefined
      }
      const channel = this.#channels.reserve(name)
      request.onend(() => this.#channels.release(channel))
      const recover = (): void =>
        channel.recover(since, {
          failed,
          done: recovery => {
            try {
              this.#begin(connection, responder, { name, membership, channel, recovery })
            } catch (error) {
              failed(error)
            }
          },
        })
      const ready = channel.ready()
      if (ready !== undefined) return ready.then(recover)
      recover()
      return undefined
    }
    try {
      const outcome = allow(go)
      if (outcome instanceof Promise) outcome.catch(failed)
    } catch (error) {
      failed(error)
    }
    return undefined
  }

  #begin(
    connection: Connection,
    responder: Responder,
    it: { name: string; membership: Membership; channel: Channel; recovery: Recovery },
  ): void {
    const { name, membership, channel, recovery } = it
    if (!this.#stands(connection, name, membership) || !connection.open) {
      return responder.error(new SocketStreamError('CANCELLED', `${name} was left, or subscribed anew`))
    }
    // The caller has gone away: it does not know of the subscription.
    if (responder.ended) return this.leave(connection, name)
    answer(responder, channel.run, recovery, connection.id)
    membership.channel = channel
    channel.join(connection.id)
  }

  /** Ends a subscription, or the asking for it. */
  leave(connection: Connection, name: string): void {
    const memberships = this.#byConnection.get(connection.id)
    const membership = memberships?.get(name)
    if (membership === undefined) return
    memberships?.delete(name)
    if (memberships?.size === 0) this.#byConnection.delete(connection.id)
    this.#part(connection.id, membership)
  }

  /** A connection has gone. */
  closed(connection: Connection): void {
    const memberships = this.#byConnection.get(connection.id)
    this.#byConnection.delete(connection.id)
    for (const membership of memberships?.values() ?? []) this.#part(connection.id, membership)
  }

  #enter(connection: Connection, name: string): Membership {
    const memberships = this.#byConnection.get(connection.id) ?? new Map<string, Membership>()
    const { topics } = this.#channels.server.limits
    const before = memberships.get(name)
    if (before === undefined && memberships.size >= topics) {
      throw new SocketStreamError('OVERLOADED', `${topics} channels are subscribed; leave some first`)
    }
    const membership = { channel: undefined }
    this.#byConnection.set(connection.id, memberships.set(name, membership))
    if (before !== undefined) this.#part(connection.id, before)
    return membership
  }

  #part(connectionId: string, { channel }: Membership): void {
    channel?.leave(connectionId)
    this.#channels.look(channel)
  }

  #stands({ id }: Connection, name: string, membership: Membership): boolean {
    return this.#byConnection.get(id)?.get(name) === membership
  }
}

/** Too much for one frame is told as a recovery past its limit. */
function answer(responder: Responder, run: number, recovery: Recovery, connectionId: string): void {
  const { position, recovered, reason, entries } = recovery
  const { epoch, offset } = position
  const reply = (recovered: boolean, reason: string | undefined, entries: readonly LogEntry[]): void =>
    responder.reply([
      run,
      epoch,
      offset,
      recovered,
      reason ?? null,
      entries.map(entry => lineOf(entry, connectionId)),
    ])
  try {
    reply(recovered, reason, entries)
  } catch (error) {
    if (entries.length === 0) throw error
    reply(false, 'limit', [])
  }
}
