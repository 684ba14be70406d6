import { createHash } from 'node:crypto'
import { isShort, MAX_PLACES } from '../../engines/checks.js'
import type { Occupancy, Passed } from '../../engines/occupancy.js'
import type { ServiceCluster, ServiceServer } from '../service.js'

/**
 * Milliseconds for which a server that has lost its last subscriber stays in the channel: a page that is reloaded, or a
 * connection that goes on at another server, is back by then.
 */
const LINGER = 1000

/** What can be heard of channels: somebody is there, nobody is there any more. */
export type ChannelEvent = 'occupied' | 'vacated'

/** More of an event. */
export interface ChannelChange {
  /** Whether only the server has changed that is told of the channel: it was occupied before, or still is, on another one. */
  readonly moved: boolean
}

/** What the channels of a service are told of in a cluster with. */
export interface ClusterOccupancyInit {
  readonly server: ServiceServer
  readonly cluster: ServiceCluster
  readonly occupancy: Occupancy
  tell(event: ChannelEvent, channel: string, change: ChannelChange): void
}

/** A channel that is occupied here, or that the engine may take for it. */
interface Place {
  readonly channel: string
  /** Whether anybody is there on this server. */
  wanted: boolean
  /** Whether the engine may have this server in it. */
  sent: boolean
  /** Whether it surely has. */
  entered: boolean
  /** Whether it had, before the engine was asked anew. */
  again: boolean
  /** Whether it has passed to this server, as another one says. */
  passed: boolean
  /** Whether it is this server's, as far as that is known here. */
  owned: boolean
  /** Whether it came to be by another one's leaving, or was found out late. */
  moved: boolean
  /** Whether `occupied` was told of it, and `vacated` was not yet. */
  told: boolean
}

const NOTHING = {
  sent: false,
  entered: false,
  again: false,
  passed: false,
  owned: false,
  moved: false,
  told: false,
}

/**
 * Who of the servers that have subscribers of a channel is told of it: one, as long as any has.
 *
 * The engine keeps which servers are in which channels; whoever has been there longest owns a channel, and is told. What changes
 * is sent together, and anew until the engine has taken it. Each server compares its numbers with the engine's from time to time:
 * that finds what was lost, be it news of another server or all that Redis had.
 */
export class ClusterOccupancy {
  readonly #init: ClusterOccupancyInit
  readonly #places = new Map<string, Place>()
  /** Those of which the engine does not have what is so. */
  readonly #due = new Set<string>()
  /** Those that were left just now, each with when it is due; the first one is next. */
  readonly #lingering = new Map<string, number>()
  #linger: NodeJS.Timeout | undefined
  /** Members of the engine that no server is known for, as of the last look. */
  #strangers = new Set<string>()
  #working: Promise<void> | undefined
  /** Grows with everything that is asked of the engine. */
  #asked = 0
  #offs: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(init: ClusterOccupancyInit) {
    this.#init = init
    const { cluster } = init
    cluster.ontold = places => {
      if (Array.isArray(places)) for (const place of places) this.#gain(String(place))
    }
  }

  get isRunning(): boolean {
    return this.#timer !== undefined
  }

  /** Takes part from now on, with these channels. */
  begin(channels: Iterable<string>): void {
    if (this.#isClosed) return
    const { cluster, server } = this.#init
    this.#timer = setInterval(() => void this.#compare(), cluster.lease / 3).unref()
    this.#offs = [
      cluster.on('left', node => void this.#evict(node)),
      server.engine.on('up', () => void this.#compare()),
    ]
    for (const channel of channels) this.occupied(channel)
  }

  /** A channel is occupied on this server. */
  occupied(channel: string): void {
    if (!this.isRunning) return
    const name = placeOf(channel)
    const known = this.#places.get(name)
    if (known !== undefined) {
      known.wanted = true
      this.#tell(known)
    } else {
      this.#places.set(name, { channel, ...NOTHING, wanted: true })
    }
    this.#look(name)
  }

  /** It is not any more. */
  vacated(channel: string): void {
    if (!this.isRunning) return
    const name = placeOf(channel)
    const place = this.#places.get(name)
    if (place === undefined) return
    place.wanted = false
    if (place.sent && !this.#due.has(name)) this.#later(name)
    else this.#look(name)
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    clearTimeout(this.#linger)
    this.#timer = undefined
    for (const off of this.#offs) off()
    this.#due.clear()
    this.#lingering.clear()
  }

  get #group(): string {
    return `$channels/${this.#init.server.name}`
  }

  #later(name: string): void {
    this.#lingering.set(name, performance.now() + LINGER)
    this.#linger ??= setTimeout(() => this.#leaveLate(), LINGER).unref()
  }

  #leaveLate(): void {
    this.#linger = undefined
    const now = performance.now()
    for (const [name, due] of this.#lingering) {
      if (due > now) {
        this.#linger = setTimeout(() => this.#leaveLate(), Math.ceil(due - now)).unref()
        return
      }
      this.#look(name)
    }
  }

  /** Sees whether the engine has to be told of a place. */
  #look(name: string): void {
    this.#lingering.delete(name)
    const place = this.#places.get(name)!
    if (place.wanted ? place.entered : !place.sent) {
      this.#due.delete(name)
      if (!place.wanted) this.#places.delete(name)
      return
    }
    this.#due.add(name)
    this.#work()
  }

  #work(): void {
    this.#working ??= this.#send().then(isSent => {
      this.#working = undefined
      if (isSent && this.#due.size > 0) this.#work()
    })
  }

  /** Sends what is due, as much as goes into one call; resolves to whether the engine has taken it. */
  async #send(): Promise<boolean> {
    // With what else changes now.
    await null
    this.#asked++
    try {
      const [entering, leaving] = this.#next()
      if (entering.length > 0) await this.#enter(entering)
      if (leaving.length > 0) await this.#leave(leaving)
      return true
    } catch (error) {
      if (!this.#isClosed) {
        this.#init.server.log.warn('which channels are occupied is told the other servers later', { error })
      }
      return false
    }
  }

  #next(): [entering: string[], leaving: string[]] {
    const [entering, leaving]: [string[], string[]] = [[], []]
    for (const name of this.#due) {
      const { wanted } = this.#places.get(name)!
      const list = wanted ? entering : leaving
      if (list.push(name) === MAX_PLACES) break
    }
    return [entering, leaving]
  }

  async #enter(names: readonly string[]): Promise<void> {
    const { occupancy, cluster } = this.#init
    for (const name of names) this.#places.get(name)!.sent = true
    const owned = new Set(await occupancy.enter(this.#group, cluster.id, names))
    for (const name of names) {
      const place = this.#places.get(name)!
      place.owned = owned.has(name) || place.passed
      place.moved = place.again || place.passed || !place.owned
      place.entered = true
      place.again = place.passed = false
      this.#tell(place)
      this.#look(name)
    }
  }

  async #leave(names: readonly string[]): Promise<void> {
    const { occupancy, cluster } = this.#init
    const passed = await occupancy.leave(this.#group, cluster.id, names)
    const still = new Set(passed.map(({ place }) => place))
    for (const name of names) {
      const place = this.#places.get(name)!
      Object.assign(place, { ...NOTHING, wanted: place.wanted, told: place.told, moved: still.has(name) })
      this.#tell(place)
      this.#look(name)
    }
    this.#pass(passed)
  }

  /** Tells the servers that own places now. */
  #pass(passed: readonly Passed[]): void {
    const { cluster } = this.#init
    const byOwner = new Map<string, string[]>()
    for (const { place, owner } of passed) {
      const places = byOwner.get(owner)
      if (places === undefined) byOwner.set(owner, [place])
      else places.push(place)
    }
    for (const [owner, places] of byOwner) {
      if (owner !== cluster.id) cluster.tell(owner, places)
      else for (const place of places) this.#gain(place)
    }
  }

  /** A place has passed to this server. */
  #gain(name: string): void {
    const place = this.#places.get(name)
    // It has left it meanwhile, and passes it on by that.
    if (place === undefined) return
    if (place.entered) {
      place.owned = place.moved = true
      this.#tell(place)
    } else place.passed = true
  }

  /** Tells what has not been told yet. */
  #tell(place: Place): void {
    const { channel, owned, wanted, told, moved } = place
    // Whoever has just left is not told of it any more, nor that it has passed on until that is so.
    if (owned === told || (owned && !wanted)) return
    place.told = owned
    this.#init.tell(owned ? 'occupied' : 'vacated', channel, { moved })
  }

  /** Takes a server that is no more out of all places. */
  async #evict(node: string): Promise<void> {
    const { occupancy, server } = this.#init
    try {
      for (let isComplete = false; !isComplete && this.isRunning; ) {
        this.#asked++
        const { passed, complete } = await occupancy.evict(this.#group, node, MAX_PLACES)
        this.#pass(passed)
        isComplete = complete
      }
    } catch (error) {
      server.log.warn('the channels of a server that has gone pass to others later', { error })
    }
  }

  /** Compares with what the engine has: the other servers, and the numbers of this one. */
  async #compare(): Promise<void> {
    const { cluster, occupancy, server } = this.#init
    if (this.#due.size > 0) return this.#work()
    const asked = this.#asked
    try {
      const occupants = await occupancy.occupants(this.#group)
      if (!this.isRunning) return
      const { others, id } = cluster
      const strangers = occupants.filter(({ member }) => member !== id && !others.has(member))
      const gone = strangers.filter(({ member }) => this.#strangers.has(member))
      this.#strangers = new Set(strangers.map(({ member }) => member))
      for (const { member } of gone) await this.#evict(member)
      // Something has changed meanwhile.
      if (this.#asked !== asked || this.#due.size > 0) return
      const { places, owned } = occupants.find(({ member }) => member === id) ?? { places: 0, owned: 0 }
      const own = [...this.#places.values()].filter(place => place.owned)
      if (places !== this.#places.size || owned !== own.length) this.#renew()
    } catch (error) {
      server.log.debug('the engine cannot say which channels are occupied', { error })
    }
  }

  /** Enters all anew: the engine says whose they are. */
  #renew(): void {
    for (const [name, place] of this.#places) {
      place.again = true
      place.entered = false
      this.#look(name)
    }
  }
}

/** What the engine knows a channel by: its name, or where that is none for it, a digest. */
function placeOf(channel: string): string {
  if (isShort(channel)) return channel
  return `\0${createHash('sha256').update(channel, 'utf16le').digest('hex')}`
}
