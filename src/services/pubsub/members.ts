import type { Position } from '../../engines/log.js'
import { SocketStreamError } from '../../errors.js'
import { contextOf } from '../request-context.js'
import type { Connection, Request, Responder } from '../service.js'
import type { ChannelCall } from './calls.js'
import type { Channel, Place } from './channel.js'
import type { Channels } from './channels.js'
import { lineFrom, publicationOf } from './entry.js'
import type { Filter } from './filters.js'
import { invalid } from './names.js'
import { type Placed, readState } from './states.js'

/** One asked for or standing subscription; another object when it is asked for anew. */
interface Membership {
  channel: Channel | undefined
  /** It has come from another server, and its channel is not ready yet. */
  arriving?: { readonly place: Place; readonly ready: Promise<void> }
  /** Whether the server has made it, and the client did not ask for it. */
  readonly told: boolean
}

/** How a subscription begins, found. */
interface Beginning {
  readonly name: string
  readonly membership: Membership
  readonly channel: Channel
  readonly filter: Filter | undefined
  readonly recovery: {
    readonly position: Position
    readonly recovered: boolean
    readonly reason?: string
    readonly lines: readonly Placed[]
    /** The state, or nothing. */
    readonly state: readonly unknown[]
  }
}

/** A subscription for another server. */
export interface MemberPlace extends Place {
  readonly name: string
  readonly told: boolean
}

/** An epoch that no engine has. */
const ADRIFT = '-'

/** The connections that subscribe by calls and recover, each with its channels. */
export class Members {
  readonly #channels: Channels
  readonly #byConnection = new Map<string, Map<string, Membership>>()
  /** Connections whose clients know runs by the numbers of another server. */
  readonly #arrived = new Set<string>()
  /** Connections that had gone from here before this was heard: nobody knows what they were sent last. */
  readonly #adrift = new Set<string>()
  /** Connections that are being sent what they have missed, each with another object when it begins anew. */
  readonly #returning = new Map<string, object>()

  constructor(channels: Channels) {
    this.#channels = channels
  }

  /**
   * Subscribes, and answers `[run, epoch, offset, recovered, reason, entries]`, with a state behind it if one is
   * asked for and not everything was recovered.
   *
   * Asked again it takes the place of the subscription before. What it was refused is not subscribed.
   *
   * @param call `told` has it end with the server's subscription
   * @param allow asks whether the client may; calls on at once or later
   */
  subscribe(
    request: Request,
    responder: Responder,
    call: Extract<ChannelCall, { method: 'subscribe' }>,
    allow: (then: () => Promise<void> | undefined) => unknown,
  ): unknown {
    const { connection } = request
    const { channel: name, since, told, filter, state } = call
    // Its end has been told already: nobody would clear away what it is entered for.
    if (!connection.open) return undefined
    const membership = this.#enter(connection, name, told)
    const failed = (error: unknown): void => {
      if (this.#stands(connection, name, membership)) this.leave(connection, name)
      responder.error(error)
    }
    const go = (): Promise<void> | undefined => {
      if (state && this.#channels.rules.of(name).state === undefined) throw withoutState(name)
      if (!connection.open || responder.ended) {
        if (this.#stands(connection, name, membership)) this.leave(connection, name)
        return undefined
      }
      const channel = this.#channels.reserve(name)
      request.onend(() => this.#channels.release(channel))
      const it = { name, membership, channel, filter }
      const readStateFirst = (reason: string | undefined): void => {
        const load = (): unknown => channel.rule.state!(contextOf(request), name)
        const stop = readState(channel, load, {
          failed,
          done: ({ value, position, lines }) => {
            const recovery = { position, recovered: false, lines, state: [value], ...(reason && { reason }) }
            return this.#begin(connection, responder, { ...it, recovery })
          },
        })
        request.onend(stop)
      }
      const recover = (): void =>
        channel.recover(since, {
          failed,
          done: ({ entries, ...recovery }) => {
            if (state && !recovery.recovered) return readStateFirst(recovery.reason)
            const lines = entries.map(entry => ({ offset: entry.offset, publication: publicationOf(entry) }))
            try {
              this.#begin(connection, responder, { ...it, recovery: { ...recovery, lines, state: [] } })
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

  #begin(connection: Connection, responder: Responder, it: Beginning): boolean {
    const { name, membership, channel, filter, recovery } = it
    if (!this.#stands(connection, name, membership) || !connection.open) {
      responder.error(new SocketStreamError('CANCELLED', `${name} was left, or subscribed anew`))
      return true
    }
    // The caller has gone away: it does not know of the subscription.
    if (responder.ended) {
      this.leave(connection, name)
      return true
    }
    channel.checkFilter(filter)
    this.#distinguish(connection.id, channel)
    if (!answer(responder, connection.id, it)) {
      if (recovery.state.length > 0) return false
      answer(responder, connection.id, {
        ...it,
        recovery: { ...recovery, recovered: false, reason: 'limit', lines: [] },
      })
    }
    membership.channel = channel
    channel.join(connection.id, filter)
    if (this.#channels.away.has(connection.id)) channel.detach(connection.id)
    return true
  }

  // ---- clients that are away --------------------------------------------------------------------

  /** The client of a connection is away. */
  detached({ id }: Connection): void {
    this.#channels.away.set(id, new Set())
    this.#returning.delete(id)
    if (this.#channels.server.connectionsOf({ connection: id }).length === 0) this.#adrift.add(id)
    for (const { channel } of this.#byConnection.get(id)?.values() ?? []) channel?.detach(id)
  }

  /** It is back: is sent what it has missed, one channel after the other, so that all together are no flood. */
  async back({ id }: Connection): Promise<void> {
    this.#channels.away.delete(id)
    const memberships = this.#byConnection.get(id)
    if (memberships === undefined) return
    const turn = {}
    this.#returning.set(id, turn)
    for (const membership of [...memberships.values()]) {
      if (membership.arriving !== undefined) await membership.arriving.ready
      const missed = this.#returning.get(id) === turn ? membership.channel?.back(id) : undefined
      if (missed !== undefined) await missed
    }
    if (this.#returning.get(id) === turn) this.#returning.delete(id)
  }

  /** Where a connection stands in its channels. */
  places({ id }: Connection): readonly MemberPlace[] {
    const isAdrift = this.#adrift.has(id)
    return [...(this.#byConnection.get(id) ?? [])].flatMap(([name, { channel, arriving, told }]) => {
      const place = channel?.placeOf(id) ?? arriving?.place
      if (place === undefined) return []
      // Of a channel with a history its client is then to ask by itself.
      const position = isAdrift ? { epoch: place.position.epoch && ADRIFT, offset: 0 } : place.position
      return [{ ...place, position, name, told }]
    })
  }

  /** Takes in what a connection had at another server; resolves when all of its channels are ready. */
  async arrive(connection: Connection, places: readonly MemberPlace[]): Promise<void> {
    this.#arrived.add(connection.id)
    await Promise.all(places.map(place => this.#arrive(connection, place)))
  }

  #arrive(connection: Connection, { name, told, ...place }: MemberPlace): Promise<void> | undefined {
    const { id } = connection
    const refused = (): void => void this.#channels.server.sendToSocketIds(id, [place.run])
    let channel: Channel
    let membership: Membership
    try {
      membership = this.#enter(connection, name, told)
      channel = this.#channels.reserve(name)
    } catch {
      refused()
      return undefined
    }
    const settle = (go: () => void): void => {
      delete membership.arriving
      if (this.#stands(connection, name, membership) && connection.open) go()
      this.#channels.release(channel)
    }
    const sit = (): void =>
      settle(() => {
        membership.channel = channel
        channel.arrive(id, place)
      })
    const ready = channel.ready()
    if (ready === undefined) {
      sit()
      return undefined
    }
    const arriving = { place, ready: ready.then(sit, () => settle(refused)) }
    membership.arriving = arriving
    return arriving.ready
  }

  /** Ends the run that a client knows by the number of another one, from another server. */
  #distinguish(id: string, { run }: Channel): void {
    if (!this.#arrived.has(id)) return
    for (const { channel } of this.#byConnection.get(id)?.values() ?? []) {
      if (channel?.placeOf(id)?.run === run) channel.dismiss(id)
    }
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

  /** Ends a subscription that the server had made. */
  leaveTold(connection: Connection, name: string): void {
    if (this.#byConnection.get(connection.id)?.get(name)?.told) this.leave(connection, name)
  }

  /** A connection has gone. */
  closed(connection: Connection): void {
    const memberships = this.#byConnection.get(connection.id)
    this.#byConnection.delete(connection.id)
    this.#arrived.delete(connection.id)
    this.#adrift.delete(connection.id)
    this.#returning.delete(connection.id)
    for (const membership of memberships?.values() ?? []) this.#part(connection.id, membership)
  }

  #enter(connection: Connection, name: string, told: boolean): Membership {
    const memberships = this.#byConnection.get(connection.id) ?? new Map<string, Membership>()
    const { topics } = this.#channels.server.limits
    const before = memberships.get(name)
    if (before === undefined && memberships.size >= topics) {
      throw new SocketStreamError('OVERLOADED', `${topics} channels are subscribed; leave some first`)
    }
    const membership: Membership = { channel: undefined, told }
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

/** Answers; false when it is too much for one frame. */
function answer(
  responder: Responder,
  connectionId: string,
  { channel, filter, recovery }: Beginning,
): boolean {
  const { position, recovered, reason, lines, state } = recovery
  const wanted = lines.filter(({ publication }) => filter === undefined || filter.matches(publication.tags))
  const own = wanted.map(({ offset, publication }) => lineFrom(offset, publication, connectionId))
  const { epoch, offset } = position
  try {
    responder.reply([channel.run, epoch, offset, recovered, reason ?? null, own, ...state])
    return true
  } catch (error) {
    if (own.length === 0) throw error
    return false
  }
}

function withoutState(name: string): SocketStreamError {
  return invalid(
    `'${name}' has no state; give it one, as in channels: { '${name}': { state: (ctx, channel) => … } }`,
  )
}
