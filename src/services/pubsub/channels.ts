import type { HistoryOptions, HistoryPage, Log, Published } from '../../engines/log.js'
import { SocketStreamError } from '../../errors.js'
import type { BacklogStatistics, Connection, ServiceServer, Whose } from '../service.js'
import { Channel, type ChannelHost } from './channel.js'
import { encodePublication } from './entry.js'
import { checkTags, type Tags } from './filters.js'
import { Listeners } from './listeners.js'
import { checkName, engineName, invalid } from './names.js'
import { type ChannelChange, type ChannelEvent, ClusterOccupancy } from './occupancy.js'
import type { ChannelRules } from './rules.js'
import { Standing } from './standing.js'
import { Tails } from './tails.js'

/** Channels of a service that are occupied on one node at most. */
const MAX_CHANNELS = 100_000

/** Hears of a channel. */
export type OccupancyListener = (channel: string, change: ChannelChange) => void

/** How one publication is made. */
export interface PublicationOptions {
  readonly key?: string
  readonly except?: string
  readonly tags?: Tags
  /** The client that publishes. */
  readonly connection?: Connection
}

/** The channels of a service: those occupied on this node, and the histories of all. */
export class Channels implements ChannelHost {
  readonly server: ServiceServer
  readonly rules: ChannelRules
  readonly log: Log | undefined
  readonly listeners: Listeners
  readonly away = new Map<string, Set<string>>()
  readonly #standing: Standing
  readonly #open = new Map<string, Channel>()
  readonly #listeners: Record<
    ChannelEvent,
    Set<{ readonly call: OccupancyListener; readonly local: boolean }>
  > = {
    occupied: new Set(),
    vacated: new Set(),
  }
  /** Who of several servers is told of a channel; undefined where each is told of its own. */
  readonly #shared: ClusterOccupancy | undefined
  /** What was read last of channels, for clients that come back about the same time. */
  readonly tails: Tails
  readonly #offUp: () => void
  #runs = 0
  /** Dropped in channels that are vacant again. */
  #dropped = 0

  /** @throws SocketStreamError `INVALID_OPTION` for histories without an engine that keeps them */
  constructor(server: ServiceServer, rules: ChannelRules) {
    this.server = server
    this.rules = rules
    this.log = server.engine.log
    this.listeners = new Listeners(server)
    this.#standing = new Standing(server)
    this.tails = new Tails(server.limits.maxFrame / 2)
    const { cluster } = server
    const { occupancy } = server.engine
    if (cluster !== undefined && occupancy !== undefined) {
      const tell = this.#emit.bind(this, false)
      this.#shared = new ClusterOccupancy({ server, cluster, occupancy, tell })
    }
    if (this.log === undefined && rules.all.some(({ history }) => history !== undefined)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `The engine '${server.engine.name}' has no log, which the histories of service "${server.name}" need; give new Server({ engine: lmdb({ path: './data' }) }) or leave \`engine\` out`,
      )
    }
    // Subscriptions that the engine has refused meanwhile: clients ask again by themselves, plain ones do not.
    this.#offUp = server.engine.on('up', () => {
      for (const channel of this.#open.values()) channel.ready()?.catch(() => undefined)
    })
  }

  nextRun(): number {
    return ++this.#runs
  }

  // ---- publishing -------------------------------------------------------------------------------

  /**
   * Publishes to a channel: at once without a history, else by the engine; undefined in the first case.
   *
   * The order of the calls is the order in the channel. Throws, or rejects, with what keeps it from being published.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`, `UNENCODABLE`
   */
  publish(
    name: string,
    event: string,
    args: readonly unknown[],
    { key, except, connection, ...options }: PublicationOptions = {},
  ): Promise<Published> | undefined {
    const tags = checkTags(options.tags)
    const { history, check } = this.rules.of(checkName(name, 'channel'))
    const message = check(checkName(event, 'event'), args)
    const heard = { channel: name, ...(connection && { connection }) }
    if (history !== undefined) {
      const options = key === undefined ? history : { ...history, key }
      const publishing = this.log!.publish(
        engineName(this.server.name, name),
        encodePublication({ message, except, tags }),
        options,
      )
      this.listeners.tellLater(publishing, message, heard)
      return publishing
    }
    if (key !== undefined) throw withoutHistory(name, 'a publication with a key')
    const spare = except === undefined ? {} : { except }
    this.server.relay?.({ channel: name, ...(tags && { tags }) }, message, spare)
    this.#open.get(name)?.publish({ message, except, tags })
    this.listeners.tell(message, heard)
    return undefined
  }

  /** Tells who is subscribed here what another server has published without a history. */
  relayed(
    name: string,
    message: unknown,
    { except, tags, repeated }: Pick<PublicationOptions, 'except' | 'tags'> & { repeated?: boolean },
  ): void {
    this.#open.get(name)?.publish({ message: message as readonly unknown[], except, tags }, repeated)
  }

  /** The occupied channels, each with its subscribers here. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#open].map(([name, { subscribers }]) => [name, subscribers]))
  }

  /** A page of a channel's history. Rejects with `INVALID_ARGUMENTS` where there is none. */
  async history(name: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    if (this.rules.of(checkName(name, 'channel')).history === undefined) {
      throw withoutHistory(name, 'history()')
    }
    return this.log!.history(engineName(this.server.name, name), options)
  }

  // ---- subscriptions of the server --------------------------------------------------------------

  standing(name: string): ReadonlySet<Connection> | undefined {
    return this.#standing.occupies(name) ? this.#standing.of(name) : undefined
  }

  /** Whether the server has subscribed a connection. */
  hasSubscribed(connection: Connection, name: string): boolean {
    return this.#standing.has(connection, name)
  }

  /**
   * Subscribes a session, a user or a connection; resolves when what is published from now on is heard.
   *
   * To false when that stood already, or the connection has gone. Rejects with `INVALID_ARGUMENTS`, `OVERLOADED`
   * or `ENGINE_UNAVAILABLE`; nothing is subscribed then.
   */
  async subscribe(whose: Whose, name: string): Promise<boolean> {
    if (this.rules.of(checkName(name, 'channel')).history !== undefined) engineName(this.server.name, name)
    const vacant = !this.#standing.occupies(name)
    if (!this.#standing.add(whose, name)) return false
    try {
      const channel = vacant ? this.reserve(name) : this.#open.get(name)
      await channel?.ready()
      return true
    } catch (error) {
      this.unsubscribe(whose, name)
      throw error
    }
  }

  /** Takes back one of these; gives the connections that it was for, undefined when there is none. */
  unsubscribe(whose: Whose, name: string): readonly Connection[] | undefined {
    if (!this.#standing.remove(whose, name)) return undefined
    if (!this.#standing.occupies(name)) this.#vacate(name)
    for (const told of this.away.values()) told.delete(name)
    return this.server.connectionsOf(whose)
  }

  /** Channels that the server has subscribed this connection alone to. */
  subscribedAlone({ id }: Connection): readonly string[] {
    return this.#standing.ofConnection(id)
  }

  /** A connection has gone. */
  closed(connection: Connection): void {
    this.away.delete(connection.id)
    for (const name of this.#standing.closed(connection)) this.#vacate(name)
  }

  #vacate(name: string): void {
    const channel = this.#open.get(name)
    if (channel !== undefined) this.release(channel)
  }

  // ---- occupancy --------------------------------------------------------------------------------

  /** Calls back when this server is to be told of a channel, or of one of its own; gives what ends it. */
  on(event: ChannelEvent, listener: OccupancyListener, { local = false } = {}): () => void {
    if (!Object.hasOwn(this.#listeners, event)) throw invalid("The events are 'occupied' and 'vacated'")
    const entry = { call: listener, local }
    this.#listeners[event].add(entry)
    if (!local && this.#shared?.isRunning === false) this.#shared.begin(this.#open.keys())
    return () => void this.#listeners[event].delete(entry)
  }

  /** The channel of a name, if it is occupied. */
  at(name: string): Channel | undefined {
    return this.#open.get(name)
  }

  /** The channel of a name, occupied; kept open by a reservation until `release`. @throws `OVERLOADED` */
  reserve(name: string): Channel {
    let channel = this.#open.get(name)
    if (channel === undefined) {
      if (this.#open.size >= MAX_CHANNELS) {
        throw new SocketStreamError('OVERLOADED', `${MAX_CHANNELS} channels are occupied; leave some first`)
      }
      channel = new Channel(this, name, this.rules.of(name))
      this.#open.set(name, channel)
      this.#changed('occupied', name)
    }
    channel.reserved++
    return channel
  }

  release(channel: Channel): void {
    channel.reserved--
    this.look(channel)
  }

  /** Closes a channel that nobody has come back to by the next turn. */
  look(channel: Channel | undefined): void {
    if (channel === undefined || channel.occupied) return
    setImmediate(() => {
      if (channel.closed || channel.occupied) return
      channel.close()
      this.#dropped += channel.statistics.dropped
      this.#open.delete(channel.name)
      this.#changed('vacated', channel.name)
    })
  }

  /** A plain subscriber has left. */
  left(connection: Connection, name: string): void {
    const channel = this.#open.get(name)
    channel?.left(connection.id)
    this.look(channel)
  }

  /** How slow clients fare, over all channels. */
  get statistics(): BacklogStatistics & { readonly channels: number } {
    const sum = { channels: this.#open.size, dropped: this.#dropped, connections: 0, waiting: 0 }
    for (const { statistics } of this.#open.values()) {
      sum.dropped += statistics.dropped
      sum.connections += statistics.connections
      sum.waiting += statistics.waiting
    }
    return sum
  }

  /** Leaves the engine. */
  close(): void {
    this.#offUp()
    this.#shared?.close()
    for (const channel of this.#open.values()) channel.close()
    this.#open.clear()
  }

  #changed(event: ChannelEvent, name: string): void {
    this.#emit(true, event, name, { moved: false })
    if (this.#shared === undefined) this.#emit(false, event, name, { moved: false })
    else this.#shared[event](name)
  }

  #emit(local: boolean, event: ChannelEvent, name: string, change: ChannelChange): void {
    for (const listener of [...this.#listeners[event]]) {
      if (listener.local !== local) continue
      try {
        listener.call(name, change)
      } catch (error) {
        this.server.log.error(`a listener for '${event}' failed`, { error })
      }
    }
  }
}

function withoutHistory(name: string, what: string): SocketStreamError {
  return invalid(
    `${what} needs a channel with history; give '${name}' one, as in channels: { '${name}': { history: { size: 100 } } }`,
  )
}
