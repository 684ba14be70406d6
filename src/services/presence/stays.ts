import { randomBytes } from 'node:crypto'
import { SocketStreamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Staying } from './moves.js'
import type { Stay } from './stay.js'
import { StayEntries, type StayEntriesInit } from './stay-entries.js'

/** What stays are kept with. */
export interface StaysInit extends StayEntriesInit {
  readonly log: Logger
  /** This server's name among others. */
  readonly node: string
  /** Milliseconds. */
  readonly ttl: number
  readonly grace: number
  /** Channels that a connection may be in. */
  readonly most: number
  /** A connection that has come from another server is not in all its channels any more: its client has to join anew. */
  missing(connectionId: string): void
}

/** One connection in one channel. What is done to it is done in turn. */
interface Place {
  /** What the engine was told last. */
  stay: Stay
  /** What the device says of itself. */
  meta: unknown
  /** Whether the engine has it. */
  entered: boolean
  /** Whether its connection is detached: its grace runs, and it is not renewed. */
  away: boolean
  /** Whether it has come from another server, and its entry has not been looked for yet. */
  came: boolean
  over: boolean
  work: Promise<unknown>
}

/** The connections of this server in their channels: what it has said of them to the engine, and renews. */
export class Stays {
  readonly #init: StaysInit
  readonly #entries: StayEntries
  readonly #byConnection = new Map<string, Map<string, Place>>()
  /** Connections without a link, which may be resumed. */
  readonly #detached = new Set<string>()
  /** What the engine is being told of connections that are lost. */
  readonly #losing = new Set<Promise<unknown>>()

  constructor(init: StaysInit) {
    this.#init = init
    this.#entries = new StayEntries(init)
  }

  /**
   * Enters a connection into a channel, or has it say something else of itself.
   *
   * Rejects with what the engine refuses it with; it is not in the channel then, or says what it said before.
   *
   * @throws SocketStreamError `OVERLOADED`
   */
  async join(
    connectionId: string,
    channel: string,
    user: string,
    meta: unknown,
    device = randomBytes(8).toString('base64url'),
  ): Promise<void> {
    const places = this.#byConnection.get(connectionId) ?? new Map<string, Place>()
    const known = places.get(channel)
    // Somebody else by now, as after logging in: another member.
    if (known !== undefined && known.stay.user !== user) {
      await this.leave(connectionId, channel)
      return this.join(connectionId, channel, user, meta, device)
    }
    if (known === undefined && places.size >= this.#init.most) {
      throw new SocketStreamError('OVERLOADED', `${this.#init.most} channels are joined; leave some first`)
    }
    const { node } = this.#init
    const place: Place = known ?? {
      stay: { user, device, revision: 0, node, away: false, meta },
      meta,
      entered: false,
      away: false,
      came: false,
      over: false,
      work: Promise.resolve(),
    }
    if (known === undefined) this.#byConnection.set(connectionId, places.set(channel, place))
    try {
      await this.#inTurn(place, async () => {
        // The connection has gone: nobody would ever take it out.
        if (place.over) throw new SocketStreamError('CANCELLED', `${channel} was left meanwhile`)
        const before = place.entered ? [] : await this.#takeOver(channel, place)
        await this.#replace(channel, place, { meta, away: false }, this.#init.ttl)
        place.meta = meta
        place.away = false
        for (const stay of before) await this.#entries.remove(channel, stay)
      })
      // It was lost while a hook was asked.
      if (this.#detached.has(connectionId)) this.#leftBehind(channel, place)
    } catch (error) {
      if (!place.entered && places.get(channel) === place) this.#drop(connectionId, channel)
      throw error
    }
  }

  /** Takes a connection out at once. Resolves when the engine has been told. */
  async leave(connectionId: string, channel: string): Promise<void> {
    const place = this.#drop(connectionId, channel)
    if (place === undefined) return
    place.over = true
    await this.#inTurn(place, () => this.#entries.remove(channel, place.stay))
  }

  /** A connection is without a link: its user has the time of grace to come back, by it or by another one. */
  detached(connectionId: string): void {
    this.#detached.add(connectionId)
    for (const [channel, place] of this.#byConnection.get(connectionId) ?? []) {
      this.#leftBehind(channel, place)
    }
  }

  /** A connection that was detached is back: in the channels that it was in, where need be anew. */
  resumed(connectionId: string): void {
    this.#detached.delete(connectionId)
    const returning = [...(this.#byConnection.get(connectionId) ?? [])].map(([channel, place]) => {
      place.away = false
      return this.#inTurn(place, () => this.#returned(channel, place)).catch(error => {
        this.#init.log.warn(`that somebody is back in ${channel} is told with the next renewal`, { error })
      })
    })
    void Promise.all(returning).then(outcomes => {
      if (outcomes.includes(false)) this.#init.missing(connectionId)
    })
  }

  /** What another server needs to go on with a connection. Resolves when the engine has been told all of it. */
  async of(connectionId: string): Promise<Staying[]> {
    const places = [...(this.#byConnection.get(connectionId) ?? [])]
    await Promise.all(places.map(([, place]) => place.work))
    return places.flatMap(([channel, { stay, meta, entered, over }]): Staying[] => {
      const { user, device, revision, node } = stay
      return entered && !over ? [[channel, user, device, revision, node, meta]] : []
    })
  }

  /** A connection has gone on at another server, with its entries. */
  moved(connectionId: string): void {
    for (const place of this.#byConnection.get(connectionId)?.values() ?? []) place.over = true
    this.#detached.delete(connectionId)
    this.#byConnection.delete(connectionId)
  }

  /** A connection goes on here that another server has had: it is detached, and its grace runs. */
  arrived(connectionId: string, stays: readonly Staying[]): void {
    this.#detached.add(connectionId)
    const places = new Map<string, Place>()
    for (const [channel, user, device, revision, node, meta] of stays) {
      const stay = { user, device, revision, node, away: true, meta: null }
      const work = Promise.resolve()
      places.set(channel, { stay, meta, entered: true, away: true, came: true, over: false, work })
    }
    if (places.size > 0) this.#byConnection.set(connectionId, places)
  }

  /** A connection is gone for good: what is left of its grace, or all of it, goes on. */
  lost(connectionId: string): void {
    const places = this.#byConnection.get(connectionId)
    this.#detached.delete(connectionId)
    this.#byConnection.delete(connectionId)
    for (const [channel, place] of places ?? []) {
      place.over = true
      this.#leftBehind(channel, place)
    }
  }

  #leftBehind(channel: string, place: Place): void {
    if (place.away) return
    place.away = true
    const losing = this.#inTurn(place, () =>
      this.#init.grace === 0 || !place.entered
        ? this.#entries.remove(channel, place.stay)
        : this.#away(channel, place),
    ).catch(error => {
      // It is not renewed any more, and so goes by itself.
      this.#init.log.warn(`that somebody has gone from ${channel} cannot be told`, { error })
    })
    this.#losing.add(losing)
    void losing.then(() => this.#losing.delete(losing))
  }

  /** Whether a connection is in a channel, or about to be. */
  has(connectionId: string, channel: string): boolean {
    return this.#byConnection.get(connectionId)?.has(channel) === true
  }

  /** Takes all devices of a user on this server out of a channel; gives their connections. */
  async remove(channel: string, user: string): Promise<string[]> {
    const ids: string[] = []
    for (const [connectionId, places] of this.#byConnection) {
      if (places.get(channel)?.stay.user === user) ids.push(connectionId)
    }
    await Promise.all(ids.map(id => this.leave(id, channel)))
    return ids
  }

  /** Ends the grace of a user's devices that are away, whichever server they were on. */
  async forgetAway(channel: string, user: string): Promise<void> {
    for (const stay of await this.#entries.of(channel, user))
      if (stay.away) await this.#entries.remove(channel, stay)
  }

  /** Renews all; those that the engine has lost are entered again. */
  async renew(): Promise<void> {
    const renewing: Promise<unknown>[] = []
    for (const [id, places] of this.#byConnection) {
      for (const [channel, place] of places) {
        if (place.entered) renewing.push(this.#inTurn(place, () => this.#renew(id, channel, place)))
      }
    }
    for (const outcome of await Promise.allSettled(renewing)) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
  }

  /** The server ends: its connections are lost, and may come back to another. Resolves when the engine has been told. */
  async close(): Promise<void> {
    for (const connectionId of [...this.#byConnection.keys()]) this.lost(connectionId)
    await Promise.all(this.#losing)
  }

  async #renew(connectionId: string, channel: string, place: Place): Promise<void> {
    if (place.over || place.away) return
    const { ttl } = this.#init
    // That it is back could not be told.
    if (place.stay.away) {
      if (!(await this.#returned(channel, place))) this.#init.missing(connectionId)
      return
    }
    if (await this.#entries.refresh(channel, place.stay, ttl)) return
    await this.#back(channel, place)
  }

  /** Says that a device is there; false when its entry has gone on the way from another server. */
  async #returned(channel: string, place: Place): Promise<boolean> {
    if (place.came && !place.over && !place.away) {
      place.entered = await this.#entries.refresh(channel, place.stay, this.#init.ttl)
      place.came = false
      // Its grace was over, or it was taken out: only its client knows whether it is to be there again.
      if (!place.entered) return false
    }
    await this.#back(channel, place)
    return true
  }

  /** Says that a device is there, which the engine has as away or not at all. */
  async #back(channel: string, place: Place): Promise<void> {
    // Lost again, or never there.
    if (place.over || place.away || !place.entered) return
    const { user, device, revision } = place.stay
    const others = await this.#entries.of(channel, user, device)
    // The device has come back on another server, where it has joined since: this connection is a dead one.
    if (others.some(other => other.revision > revision)) {
      place.over = true
      return
    }
    // Not under its name, which has been told to be gone.
    await this.#replace(channel, place, { away: false, meta: place.meta }, this.#init.ttl)
  }

  async #away(channel: string, place: Place): Promise<void> {
    const { grace } = this.#init
    // Gone already, or back on another server: nothing to come back to.
    if (!(await this.#entries.refresh(channel, place.stay, grace))) return
    await this.#replace(channel, place, { away: true, meta: null }, grace)
  }

  /** Puts a place in front of what the same device has said before; gives that, to be removed. */
  async #takeOver(channel: string, place: Place): Promise<Stay[]> {
    const { user, device } = place.stay
    for (const [id, places] of this.#byConnection) {
      const other = places.get(channel)
      if (other === undefined || other === place) continue
      if (other.stay.device !== device || other.stay.user !== user) continue
      other.over = true
      this.#drop(id, channel)
      await other.work
    }
    const before = await this.#entries.of(channel, user, device)
    place.stay = { ...place.stay, revision: Math.max(0, ...before.map(({ revision }) => revision)) }
    return before
  }

  /** Enters the next revision, then removes the one before: the user is there all the time. */
  async #replace(
    channel: string,
    place: Place,
    change: Partial<Pick<Stay, 'away' | 'meta'>>,
    ttl: number,
  ): Promise<void> {
    const before = place.stay
    const stay = { ...before, ...change, revision: before.revision + 1, node: this.#init.node }
    await this.#entries.enter(channel, stay, ttl)
    const { entered } = place
    place.stay = stay
    place.entered = true
    if (entered) await this.#entries.remove(channel, before)
  }

  #drop(connectionId: string, channel: string): Place | undefined {
    const places = this.#byConnection.get(connectionId)
    const place = places?.get(channel)
    if (places?.delete(channel) && places.size === 0) this.#byConnection.delete(connectionId)
    return place
  }

  #inTurn<T>(place: Place, work: () => Promise<T>): Promise<T> {
    const done = place.work.then(work)
    place.work = done.catch(() => undefined)
    return done
  }
}
