import type { GapReason, Log, LogEntry, LogSubscription, Position } from '../../engines/log.js'
import type { ServiceServer } from '../service.js'
import { publicationOf } from './entry.js'
import { engineName } from './names.js'
import { Recoveries, type RecoveryListener } from './recoveries.js'
import type { ChannelRule } from './rules.js'

/** What channels of one service share. */
export interface ChannelHost {
  readonly server: ServiceServer
  readonly log: Log | undefined
  /** A number that no run of a channel has had on this node. */
  nextRun(): number
}

/** Hears every entry of a channel. */
export interface EntryListener {
  entry(entry: LogEntry): void
}

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
  readonly #live = new Set<string>()
  /** The same as a list, made when it is needed. */
  #ids: readonly string[] | undefined
  #opening: Promise<void> | undefined
  #subscription: LogSubscription | undefined
  #recoveries: Recoveries | undefined
  readonly #listeners = new Set<EntryListener>()

  constructor(host: ChannelHost, name: string, rule: ChannelRule) {
    this.name = name
    this.rule = rule
    this.#host = host
    this.run = host.nextRun()
  }

  /** Whether anybody is there, or about to be. */
  get occupied(): boolean {
    return this.reserved > 0 || this.#members.size > 0 || this.#host.server.topic(this.name).size > 0
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
    this.#recoveries ??= new Recoveries(this, log, name, this.#host.server)
  }

  #entry(entry: LogEntry): void {
    const { epoch, offset } = this.position!
    if (entry.offset <= offset) return
    // The engine should have told the gap; better late than to hide it.
    if (entry.offset !== offset + 1) this.#gap('lost', { epoch, offset: entry.offset - 1 })
    this.position = { epoch, offset: entry.offset }
    for (const listener of this.#listeners) listener.entry(entry)
    const { message, except } = publicationOf(entry)
    if (message.length === 0) this.#host.server.log.warn(`an entry of ${this.name} is no publication`)
    this.#tell(message, entry.offset, except)
  }

  #gap(reason: GapReason, position: Position): void {
    this.#host.server.log.warn(`continuity of ${this.name} was lost: ${reason}`)
    this.position = position
    this.endRun()
  }

  /** Ends the run: who recovers asks again, and gets what was missed as far as it is kept. */
  endRun(): void {
    const ids = this.#liveIds()
    const ended = this.run
    this.run = this.#host.nextRun()
    this.#live.clear()
    this.#ids = undefined
    if (ids.length > 0) this.#host.server.sendToSocketIds(ids, [ended])
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

  /** Tells a connection all that comes from now on. */
  join(connectionId: string): void {
    this.#members.add(connectionId)
    this.#live.add(connectionId)
    this.#ids = undefined
  }

  leave(connectionId: string): void {
    this.#members.delete(connectionId)
    if (this.#live.delete(connectionId)) this.#ids = undefined
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

  /** Publishes at once, to who is there; for channels without a history. */
  publish(message: readonly unknown[], except: string | undefined): void {
    this.#tell(message, 0, except)
  }

  #tell(message: readonly unknown[], offset: number, except: string | undefined): void {
    const { server } = this.#host
    if (message.length > 0) server.topic(this.name).publish(message, except === undefined ? {} : { except })
    const ids = this.#liveIds()
    if (ids.length === 0) return
    if (except === undefined || !this.#live.has(except)) {
      server.sendToSocketIds(ids, [this.run, offset, ...message])
      return
    }
    const others = ids.filter(id => id !== except)
    if (others.length > 0) server.sendToSocketIds(others, [this.run, offset, ...message])
    // Its place, so that the next one is no gap.
    if (offset > 0) server.send(except, [this.run, offset])
  }

  #liveIds(): readonly string[] {
    this.#ids ??= [...this.#live]
    return this.#ids
  }

  /** Ends it: the engine is left. */
  close(): void {
    this.closed = true
    this.#subscription?.close()
    this.#subscription = undefined
  }
}
