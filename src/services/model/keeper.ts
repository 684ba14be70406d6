import { randomUUID } from 'node:crypto'
import type { ActorRef } from '../../actors/runtime/index.js'
import type { Logger } from '../../log.js'
import { BusListener } from '../bus-listener.js'
import type { ServiceServer } from '../service.js'
import { Desk } from './desk.js'
import { Lanes } from './lanes.js'
import type { LiveQuery } from './live-query.js'
import { loadQuery } from './load-query.js'
import type { CheckedModelOptions } from './options.js'
import { type Plain, plain } from './plain.js'
import type { Row } from './rows.js'
import type { Stored } from './storage.js'

/** Milliseconds before records in doubt are read again; doubled at each failure. */
const MIN_RETRY = 100
const MAX_RETRY = 30_000
/** Records in doubt; of more all that is watched is read again. */
const MAX_DOUBTS = 10_000
/** Records that are read at a time when many are in doubt. */
const AT_ONCE = 16

/** What the keeper tells itself: read again what is in doubt. */
interface Retry {
  readonly type: 'retry'
}

/** The storage of one model with what is watched of it: keeps the two equal. */
export class Keeper {
  readonly desk: Desk
  readonly lanes = new Lanes()
  readonly options: CheckedModelOptions
  readonly log: Logger
  readonly #server: ServiceServer
  /** This server among those that share the bus. */
  readonly #self = randomUUID()
  readonly #node: string
  readonly #timers: ActorRef<Retry>
  /** Refreshes that have not begun yet. */
  readonly #waiting = new Map<string, Promise<void>>()
  /** Readings of queries, one after the other for each, and those that have not begun yet. */
  readonly #queries = new Lanes()
  readonly #rereading = new Map<LiveQuery, Promise<void>>()
  /** Records of which it is unknown what stands in the storage. */
  readonly #doubts = new Set<string>()
  #doubtsAll = false
  #retrying = false
  #delay = MIN_RETRY
  readonly #ends: (() => unknown)[] = []

  constructor(server: ServiceServer, options: CheckedModelOptions) {
    this.#server = server
    this.options = options
    this.log = server.log
    this.#node = `model:${server.name}`
    this.desk = new Desk(options, server.log, (ids, message) => server.sendToSocketIds(ids, message))
    this.#timers = server.spawn('retries', { receive: (_state, _retry: Retry) => void this.#retry() })
  }

  /** Hears of changes made by other servers with the same engine. */
  async listen(): Promise<void> {
    const { engine } = this.#server
    const again = (): void => this.#doubtAll()
    this.#ends.push(engine.on('gap', again), engine.on('up', again))
    const listener = new BusListener(this.#server, this.#node, bytes => this.#hear(bytes), again)
    this.#ends.push(() => listener.close())
    await listener.listen()
  }

  async stop(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end()
    this.#timers.stop()
  }

  /** The record of an id in the storage. @throws what the storage throws */
  async load(id: string): Promise<Stored<Plain> | undefined> {
    const stored = await this.options.storage.load(id)
    return stored === undefined || stored === null ? undefined : this.take(id, stored).stored
  }

  /** What the storage gave, once it is found to be right. @throws Error for what is not */
  take(id: string | undefined, { record, version }: Stored<unknown>): Row {
    const copy = plain(record)
    const key = copy[this.options.key]
    if (typeof key !== 'string' || (id !== undefined && key !== id)) {
      const found = `whose '${this.options.key}' is ${JSON.stringify(key)}`
      throw new Error(`The storage gave a record ${found}${id === undefined ? '' : `, not '${id}'`}`)
    }
    if (!Number.isSafeInteger(version) || version < 1) {
      throw new Error(`The storage gave '${key}' the version ${version}; it must be a positive whole number`)
    }
    return { id: key, stored: { record: copy, version } }
  }

  /** Shows what a write of this server has made of a record, and tells the other servers. */
  committed(id: string, stored: Stored<Plain> | undefined): void {
    this.desk.apply(id, stored)
    this.announce(id)
  }

  announce(id: string): void {
    const bytes = Buffer.from(JSON.stringify([this.#self, id]))
    this.#server.engine.bus?.send(this.#node, bytes).catch(error => {
      this.log.warn('other servers could not be told of a change', { error })
    })
  }

  /** Reads a record again, and shows it as it is. Tries again by itself when that fails. */
  refresh(id: string): Promise<void> {
    const known = this.#waiting.get(id)
    if (known !== undefined) return known
    const refresh = this.lanes
      .run(id, async () => {
        this.#waiting.delete(id)
        this.desk.apply(id, await this.load(id))
      })
      .catch(error => {
        this.#waiting.delete(id)
        this.doubt(id)
        throw error
      })
    this.#waiting.set(id, refresh)
    return refresh
  }

  /** Reads a query again, and shows what has changed past this server, once for all who ask until that begins. */
  reread(query: LiveQuery): Promise<void> {
    const known = this.#rereading.get(query)
    if (known !== undefined) return known
    const reading = this.#queries.run(query.key, async () => {
      this.#rereading.delete(query)
      const listed = await loadQuery(this, query)
      const ids = new Set(query.ids)
      for (const { id, stored } of listed) {
        if (this.desk.entries.get(id)?.stored?.version === stored.version) ids.delete(id)
        else ids.add(id)
      }
      const differing = [...ids]
      for (let from = 0; from < differing.length; from += AT_ONCE) {
        await Promise.all(differing.slice(from, from + AT_ONCE).map(id => this.refresh(id)))
      }
    })
    this.#rereading.set(query, reading)
    return reading.finally(() => {
      if (this.#rereading.get(query) === reading) this.#rereading.delete(query)
    })
  }

  /** It is unknown what stands in the storage: finds out, as soon as that is possible. */
  doubt(id: string): void {
    if (this.#doubts.size < MAX_DOUBTS) this.#doubts.add(id)
    else this.#doubtsAll = true
    this.#schedule(this.#delay)
  }

  #doubtAll(): void {
    this.#doubtsAll = true
    this.#schedule(1)
  }

  #schedule(delay: number): void {
    if (this.#retrying || !this.#timers.live) return
    this.#retrying = true
    this.#timers.schedule(delay, { type: 'retry' })
  }

  async #retry(): Promise<void> {
    const ids = [...this.#doubts].filter(id => this.desk.concerns(id))
    const all = this.#doubtsAll
    this.#doubts.clear()
    this.#doubtsAll = false
    try {
      if (all) ids.push(...(await this.#everything()))
      for (let from = 0; from < ids.length; from += AT_ONCE) {
        const outcomes = ids.slice(from, from + AT_ONCE).map(id => this.refresh(id))
        // Each that fails is in doubt again.
        await Promise.allSettled(outcomes)
      }
    } catch (error) {
      this.#doubtsAll ||= all
      this.log.warn('the storage cannot be read; trying again', { error })
    }
    this.#retrying = false
    if (this.#doubts.size === 0 && !this.#doubtsAll) {
      this.#delay = MIN_RETRY
      return
    }
    this.#delay = Math.min(this.#delay * 2, MAX_RETRY)
    this.#schedule(this.#delay)
  }

  /** Ids of all that is watched, or would be if it was known. */
  async #everything(): Promise<Set<string>> {
    const ids = new Set(this.desk.entries.keys())
    for (const query of [...this.desk.queries.values()]) {
      for (const { id } of await loadQuery(this, query)) ids.add(id)
    }
    return ids
  }

  #hear(bytes: Uint8Array): void {
    const [from, id] = JSON.parse(Buffer.from(bytes).toString())
    if (from === this.#self || typeof id !== 'string' || !this.desk.concerns(id)) return
    this.refresh(id).catch(error => this.log.warn('a change elsewhere cannot be read yet', { error }))
  }
}
