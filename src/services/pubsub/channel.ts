import type { GapReason, Log, LogEntry, LogSubscription, Position } from '../../engines/log.js'
import type { Backlog, BacklogStatistics, Connection, ServiceServer, SlowSend } from '../service.js'
import { Absences } from './absences.js'
import { type Publication, publicationOf } from './entry.js'
import { Fan, type Seat, type Tag } from './fan.js'
import type { Filter } from './filters.js'
import { engineName } from './names.js'
import { Recoveries, type RecoveryListener } from './recoveries.js'
import type { ChannelRule } from './rules.js'
import type { Tails } from './tails.js'

/** What channels of one service share. */
export interface ChannelHost {
  readonly server: ServiceServer
  readonly log: Log | undefined
  readonly tails: Tails
  /** A number that no run of a channel has had on this node. */
  nextRun(): number
  /** Connections whose clients are away, each with the channels of the server's that it has been told of. */
  readonly away: ReadonlyMap<string, Set<string>>
  /** Connections that the server has subscribed to a channel; undefined where there is none. */
  standing(channel: string): ReadonlySet<Connection> | undefined
}

/** Hears every entry of a channel, and what is published where there is no history. */
export interface EntryListener {
  entry?(entry: LogEntry): void
  /** With offset 0 without a history. */
  publication?(offset: number, publication: Publication): void
}

/** Where a connection stands in a run, for another server. */
export interface Place extends Seat {
  readonly run: number
  /** Where it is; of an empty epoch without a history. */
  readonly position: Position
}

const NOTHING: BacklogStatistics = { dropped: 0, connections: 0, waiting: 0 }

/**
 * A channel that is occupied on this node, with one subscription of the engine if it has a history.
 *
 * It tells two kinds of subscribers: plain ones through the topic of its name, recovering ones by messages
 * `[run, offset, event, ...args]`. A run is a stretch without a gap: its offsets are contiguous. When it ends,
 * its subscribers are told `[run]`, and ask again from where they are.
 */
export class Channel {
  readonly name: string
  readonly rule: ChannelRule
  /** Subscribes that are being answered: they keep the channel open. */
  reserved = 0
  /** The number of the run. */
  run: number
  /** What has been delivered; undefined without a history, and before `ready`. */
  position: Position | undefined
  closed = false
  readonly #host: ChannelHost
  /** Connections that recover: those in the run, and those that have yet to ask again. */
  readonly #members = new Set<string>()
  /** Connections that are told what comes. */
  readonly #fan: Fan
  /** What waits for slow ones of them, and for other slow subscribers. */
  readonly #backlogs: { readonly run: Backlog; readonly topic: Backlog } | undefined
  #opening: Promise<void> | undefined
  #subscription: LogSubscription | undefined
  #recoveries: Recoveries | undefined
  /** Those whose clients are away; undefined where they are told all the same. */
  #absences: Absences | undefined
  readonly #listeners = new Set<EntryListener>()

  constructor(host: ChannelHost, name: string, rule: ChannelRule) {
    this.name = name
    this.rule = rule
    this.#host = host
    this.run = host.nextRun()
    const { server } = host
    this.#fan = new Fan(server)
    if (rule.slow === undefined) return
    const ondrop = ({ id }: Connection): void =>
      server.log.warn(`${name} is too much for a slow connection: some of it was dropped`, { connection: id })
    this.#backlogs = {
      run: server.backlog({ ...rule.slow, ondrop, mark: (tag, dropped) => markOf(tag as Tag, dropped) }),
      topic: server.backlog({ ...rule.slow, ondrop }),
    }
  }

  /** Whether anybody is there, or about to be. */
  get occupied(): boolean {
    return this.reserved > 0 || this.#members.size > 0 || this.#host.server.topic(this.name).size > 0
  }

  /** Connections that have subscribed themselves. */
  get subscribers(): number {
    return this.#members.size + this.#host.server.topic(this.name).size
  }

  // ---- the engine -------------------------------------------------------------------------------

  /** Resolves when everything published from now on is heard; undefined when that is so. */
  ready(): Promise<void> | undefined {
    const { log } = this.#host
    if (this.rule.history === undefined || log === undefined || this.#subscription) return undefined
    this.#opening ??= this.#open(log).finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open(log: Log): Promise<void> {
    const name = engineName(this.#host.server.name, this.name)
    const subscription: LogSubscription = await log.subscribe(name, {
      // What comes after `close`, or from a subscription before, is nobody's.
      entry: entry => void (this.#subscription === subscription && this.#entry(entry)),
      gap: (reason, position) => void (this.#subscription === subscription && this.#gap(reason, position)),
    })
    if (this.closed) return subscription.close()
    this.#subscription = subscription
    // Opened again: what was heard before does not reach up to here.
    if (this.position !== undefined) this.endRun()
    this.position = subscription.position
    this.#recoveries ??= new Recoveries(this, log, name, this.#host.server, this.#host.tails)
    if (this.rule.recover || this.rule.cache) {
      this.#absences ??= new Absences(this, log, name, this.#host.server)
    }
  }

  #entry(entry: LogEntry): void {
    const { epoch, offset } = this.position!
    if (entry.offset <= offset) return
    // The engine should have told the gap; better late than to hide it.
    if (entry.offset !== offset + 1) this.#gap('lost', { epoch, offset: entry.offset - 1 })
    this.position = { epoch, offset: entry.offset }
    for (const listener of this.#listeners) listener.entry?.(entry)
    const publication = publicationOf(entry)
    if (publication.message.length === 0) {
      this.#host.server.log.warn(`an entry of ${this.name} is no publication`)
    }
    this.#tell(publication, entry.offset)
  }

  #gap(reason: GapReason, position: Position): void {
    this.#host.server.log.warn(`continuity of ${this.name} was lost: ${reason}`)
    this.position = position
    this.endRun()
  }

  /** Ends the run: who recovers asks again, and gets what was missed as far as it is kept. */
  endRun(): void {
    const all = [...this.#fan.clear(), ...(this.#absences?.clear() ?? [])]
    const ended = this.run
    this.run = this.#host.nextRun()
    this.#backlogs?.run.clear()
    for (const { run = ended, ids } of all) this.#host.server.sendToSocketIds(ids, [run])
  }

  /** Subscribes to the engine anew, where what it hears is not what others read. */
  async reopen(): Promise<void> {
    this.#subscription?.close()
    this.#subscription = undefined
    this.endRun()
    try {
      await this.ready()
    } catch (error) {
      // Who has joined meanwhile hears nothing.
      this.endRun()
      throw error
    }
  }

  // ---- subscribers ------------------------------------------------------------------------------

  /** Whether one more may join with a filter. @throws SocketStreamError `OVERLOADED` */
  checkFilter(filter: Filter | undefined): void {
    this.#fan.check(filter)
  }

  /** Tells a connection all that comes from now on and that its filter wants. */
  join(connectionId: string, filter?: Filter): void {
    this.#members.add(connectionId)
    this.#absences?.leave(connectionId)
    this.#fan.join(connectionId, filter)
    this.#backlogs?.run.clear(connectionId)
  }

  /** Tells one that was away what comes from now on. */
  rejoin(connectionId: string, { filter, run }: Seat): void {
    this.#fan.join(connectionId, filter, run)
  }

  leave(connectionId: string): void {
    this.#members.delete(connectionId)
    this.#absences?.leave(connectionId)
    this.#fan.leave(connectionId)
    this.#backlogs?.run.clear(connectionId)
  }

  // ---- those who are away -----------------------------------------------------------------------

  /** A client is away: of a channel that recovers only its place is kept, and nothing waits for it. */
  detach(connectionId: string): void {
    const absences = this.#absences
    if (absences === undefined) return
    absences.pause(connectionId)
    const seat = this.#fan.seatOf(connectionId)
    if (seat === undefined) return
    this.#fan.leave(connectionId)
    const waited = this.#backlogs?.run.withdraw(connectionId)
    const [first, last] = [waited?.first as Tag | undefined, waited?.last as Tag | undefined]
    const offset = last?.offset ?? (first === undefined ? this.position!.offset : first.offset - 1)
    absences.add(
      connectionId,
      first === undefined ? seat : { ...seat, skipped: seat.filter !== undefined },
      offset,
    )
  }

  /** A client is back: resolves when it has been sent what it has missed; undefined when that was nothing. */
  back(connectionId: string): Promise<void> | undefined {
    return this.#absences?.back(connectionId)
  }

  /** Where a connection stands; undefined when it is not in the run. */
  placeOf(connectionId: string): Place | undefined {
    const absent = this.#absences?.of(connectionId)
    const seat = absent ?? this.#fan.seatOf(connectionId)
    if (seat === undefined) return undefined
    const { filter, run = this.run, skipped } = seat
    const { epoch, offset } = this.position ?? { epoch: '', offset: 0 }
    return { filter, run, skipped, position: { epoch, offset: absent?.offset ?? offset } }
  }

  /** Takes in one that stood at a place at another server, and whose client is away. To be called when `ready`. */
  arrive(connectionId: string, { position, ...seat }: Place): void {
    this.#members.add(connectionId)
    const own = { ...seat, run: seat.run === this.run ? undefined : seat.run }
    const { epoch, offset } = this.position ?? { epoch: '', offset: 0 }
    const same = position.epoch === epoch
    if (same && this.#absences !== undefined) this.#absences.add(connectionId, own, position.offset)
    else if (same && position.offset === offset) this.rejoin(connectionId, own)
    else this.#host.server.sendToSocketIds(connectionId, [seat.run])
  }

  /** Ends the run for one alone, whose client then asks again. */
  dismiss(connectionId: string): void {
    const place = this.placeOf(connectionId)
    if (place === undefined) return
    this.#absences?.leave(connectionId)
    this.#fan.leave(connectionId)
    this.#backlogs?.run.clear(connectionId)
    this.#host.server.sendToSocketIds(connectionId, [place.run])
  }

  /** A plain subscriber has left. */
  left(connectionId: string): void {
    this.#backlogs?.topic.clear(connectionId)
  }

  /** What waits for slow subscribers, and what was dropped. */
  get statistics(): BacklogStatistics {
    if (this.#backlogs === undefined) return NOTHING
    const [run, topic] = [this.#backlogs.run.statistics, this.#backlogs.topic.statistics]
    return {
      dropped: run.dropped + topic.dropped,
      connections: run.connections + topic.connections,
      waiting: run.waiting + topic.waiting,
    }
  }

  /**
   * Finds what was published after a position, and tells it when it is there, perhaps at once.
   *
   * What is delivered from then on follows on it, with nothing between. To be called when `ready`.
   */
  recover(since: Position | undefined, listener: RecoveryListener): void {
    if (this.#recoveries !== undefined && (this.rule.recover || this.rule.cache)) {
      return this.#recoveries.ask(since, listener)
    }
    const position = this.position ?? { epoch: '', offset: 0 }
    listener.done({ position, recovered: false, entries: [], ...(since && { reason: 'unavailable' }) })
  }

  /** Calls a listener at every entry; gives the function that ends it. */
  listen(listener: EntryListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Publishes at once, to who is there; for channels without a history.
   *
   * @param repeated whether listeners have heard it
   */
  publish(publication: Publication, repeated = false): void {
    this.#tell(publication, 0, repeated)
  }

  #tell(publication: Publication, offset: number, repeated = false): void {
    const { message, except } = publication
    if (!repeated) for (const { publication: hear } of this.#listeners) hear?.(offset, publication)
    const slow = this.#slow(message, offset)
    if (message.length > 0) {
      const options = { ...(except !== undefined && { except }), ...(slow && { slow: slow.topic }) }
      this.#host.server.topic(this.name).publish(message, options)
      this.#tellStanding(publication, offset, slow?.topic)
    }
    this.#fan.tell(this.run, offset, publication, slow?.run)
  }

  #slow(message: readonly unknown[], offset: number): { run: SlowSend; topic: SlowSend } | undefined {
    if (this.#backlogs === undefined) return undefined
    const { run, topic } = this.#backlogs
    const key = this.#keyOf(message)
    const tag: Tag = { run: this.run, offset }
    return { run: { backlog: run, key, tag }, topic: { backlog: topic, key } }
  }

  #keyOf([event, ...args]: readonly unknown[]): string | undefined {
    const { key } = this.rule
    if (key === undefined || event === undefined) return undefined
    try {
      const found: unknown = key(event as string, args)
      return found === undefined ? undefined : String(found)
    } catch (error) {
      this.#host.server.log.error(`\`key\` of ${this.name} failed`, { error })
      return undefined
    }
  }

  /**
   * Tells those whom the server has subscribed, and who are not here by themselves. Of a channel with a history
   * they are told where it stands: those that recover then ask for what comes after that, as all members do.
   */
  #tellStanding({ message, except }: Publication, offset: number, slow: SlowSend | undefined): void {
    const { server } = this.#host
    const standing = this.#host.standing(this.name)
    if (standing === undefined) return
    const topic = server.topic(this.name)
    const others = [...standing].filter(
      one =>
        one.id !== except && !this.#members.has(one.id) && !topic.has(one) && this.#isNews(one.id, offset),
    )
    if (others.length === 0) return
    const place = [-1, this.name, this.position?.epoch, offset - 1]
    server.sendToSocketIds(
      others.map(({ id }) => id),
      offset === 0 ? message : place,
      slow,
    )
  }

  /** Whether one is to be told of an entry: who is away asks for all from the first one on. */
  #isNews(connectionId: string, offset: number): boolean {
    const told = this.#host.away.get(connectionId)
    if (told === undefined || offset === 0) return true
    return !told.has(this.name) && told.add(this.name) !== undefined
  }

  /** Ends it: the engine is left. */
  close(): void {
    this.closed = true
    this.#host.tails.drop(this)
    this.#subscription?.close()
    this.#subscription = undefined
  }
}

/** What is sent before a message that comes after a gap: the place before it, and how many were dropped. */
function markOf({ run, offset }: Tag, dropped: number): unknown {
  return offset === 0 && dropped === 0 ? undefined : [run, -1, Math.max(offset - 1, 0), dropped]
}
