import type { ServiceCluster, ServiceServer } from '../service.js'
import { type Look, viewerOf, type Wanted } from './actors.js'
import type { Homes, Renewal, WatchAnswer } from './homes.js'
import type { MachineContext } from './options.js'
import type { Changed, Stand } from './outlet.js'
import type { Picture, Pictures } from './picture.js'
import { Watched } from './watched.js'

/** Milliseconds that the actor of a key may take to move, past the lease of its server. */
const MOVING = 5000
/** Keys asked for anew at once. */
const AT_ONCE = 64
/** Keys of one question whether their states are still the same. */
const PAGE = 1000

/** What the viewers of this server see, of actors anywhere. */
export class Watches {
  readonly #server: ServiceServer
  readonly #cluster: ServiceCluster
  readonly #shared: boolean
  readonly #homes: Homes
  readonly #pictures: Pictures
  readonly #watched = new Map<string, Watched>()

  constructor(
    server: ServiceServer,
    cluster: ServiceCluster,
    shared: boolean,
    homes: Homes,
    pictures: Pictures,
  ) {
    this.#server = server
    this.#cluster = cluster
    this.#shared = shared
    this.#homes = homes
    this.#pictures = pictures
  }

  /** @param how `anew` asks for the state also where it is known: another server may have shown a later one */
  async view(key: string, ctx: MachineContext, wanted: Wanted, how?: 'anew'): Promise<void> {
    const known = this.#watched.get(key)
    const watched = known ?? new Watched({ server: this.#server, shared: this.#shared }, key, ctx)
    this.#watched.set(key, watched)
    watched.coming++
    try {
      if (how === 'anew') await this.#openAnew(watched)
      else if (watched.node === undefined) await this.#open(watched)
      if (wanted.open) watched.viewers.join(ctx)
    } finally {
      watched.coming--
      this.#settle(watched)
    }
  }

  leave(key: string, connectionId: string): void {
    const watched = this.#watched.get(key)
    if (!watched?.viewers.leave(connectionId)) return
    this.#settle(watched)
  }

  has(key: string, connectionId: string): boolean {
    return this.#watched.get(key)?.viewers.has(connectionId) === true
  }

  look(key: string, ctx: MachineContext): Look {
    return this.#watched.get(key)!.viewers.look(ctx)
  }

  /** A server shows a state of an actor that lives there. */
  shown(key: string, node: string, stand: Stand, picture: Picture): void {
    const watched = this.#watched.get(key)
    if (watched === undefined) return this.#unwatch(key, node)
    watched.show(stand, picture)
  }

  /** A server tells what has changed; asks it for the whole when something before that was missed. */
  changed([, key, from, stand, status, changes]: Changed, node: string): void {
    const watched = this.#watched.get(key)
    if (watched === undefined) return this.#unwatch(key, node)
    const made = watched.changed(from, stand, changes)
    if (made !== undefined) return watched.show(stand, this.#pictures.received(['view', status, made.view]))
    if (!watched.isLater(stand)) return
    watched.missed = stand
    this.#mend(watched)
  }

  /** The actor of a key lives where it was no longer. */
  gone(key: string, fence: number): void {
    const watched = this.#watched.get(key)
    if (watched === undefined || watched.stand.fence > fence) return
    watched.node = undefined
    void this.#again([watched])
  }

  /** A server has gone, with the actors that lived there. */
  left(node: string): void {
    const lost = [...this.#watched.values()].filter(watched => watched.node === node)
    for (const watched of lost) watched.node = undefined
    void this.#again(lost)
  }

  /** Says of all keys that they are still viewed, and makes up for what was missed. */
  async renew(): Promise<void> {
    const nodes = new Map<string, Watched[]>()
    for (const watched of this.#watched.values()) {
      const { node } = watched
      if (node === this.#cluster.id) continue
      const list = nodes.get(node ?? '') ?? []
      nodes.set(node ?? '', list)
      list.push(watched)
    }
    const homeless = nodes.get('') ?? []
    nodes.delete('')
    const pages = [...nodes].flatMap(([node, list]) => pagesOf(list).map(page => this.#renewAt(node, page)))
    await Promise.all([this.#again(homeless), ...pages])
  }

  async #renewAt(node: string, page: readonly Watched[]): Promise<void> {
    let renewals: readonly Renewal[]
    try {
      const standing = page.map(({ key, stand }) => [key, stand])
      renewals = (await this.#cluster.ask(node, standing)) as readonly Renewal[]
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'NO_RESPONDER') return
      renewals = page.map(({ key }) => [key])
    }
    const lost: Watched[] = []
    for (const [key, stand, sent] of renewals) {
      const watched = this.#watched.get(key)
      if (watched?.node !== node) continue
      if (stand !== undefined && sent !== undefined) watched.show(stand, this.#pictures.received(sent))
      else {
        watched.node = undefined
        lost.push(watched)
      }
    }
    await this.#again(lost)
  }

  /** Asks for the whole where a change was missed; not where it is asked for already. */
  #mend(watched: Watched): void {
    const { node, missed, stand } = watched
    if (watched.mending || watched.opening !== undefined || node === undefined || missed === undefined) return
    if (!watched.isLater(missed)) return
    watched.mending = true
    void this.#renewAt(node, [watched]).finally(() => {
      watched.mending = false
      // Where it has failed, that is left to the next renewal.
      if (watched.stand !== stand) this.#mend(watched)
    })
  }

  /** Asks for keys anew, a few at a time. What fails is asked for again with the next renewal. */
  async #again(list: readonly Watched[]): Promise<void> {
    const rest = [...list]
    const next = async (): Promise<void> => {
      for (let watched = rest.pop(); watched !== undefined; watched = rest.pop()) {
        if (watched.node === undefined && watched.inUse) await this.#open(watched).catch(() => undefined)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, rest.length) }, next))
  }

  #open(watched: Watched): Promise<void> {
    watched.opening ??= this.#ask(watched).finally(() => {
      watched.opening = undefined
      this.#mend(watched)
    })
    return watched.opening
  }

  /** Asks after all that is under way, once for all who come until then. */
  #openAnew(watched: Watched): Promise<void> {
    watched.reopening ??= (watched.opening ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        watched.reopening = undefined
        return this.#open(watched)
      })
    return watched.reopening
  }

  async #ask(watched: Watched): Promise<void> {
    const { key } = watched
    const options = { deadline: this.#cluster.lease + MOVING, begin: !this.#homes.draining }
    const call = ['watch', this.#cluster.id] as const
    const answer = await this.#homes.call(key, this.#context(watched), call, options)
    const [node, stand, sent] = answer as WatchAnswer
    watched.node = node
    if (sent !== null) watched.show(stand, this.#pictures.received(sent))
    if (!watched.inUse) this.#settle(watched)
  }

  /** For whom it is begun: whoever views it now. */
  #context(watched: Watched): MachineContext {
    if (watched.ctx.connection.open) return watched.ctx
    const [viewer] = watched.viewers.ids
    const [connection] = viewer === undefined ? [] : this.#server.connectionsOf({ connection: viewer })
    if (connection !== undefined) watched.ctx = viewerOf(connection)
    return watched.ctx
  }

  #settle(watched: Watched): void {
    const { key, node } = watched
    if (watched.inUse || this.#watched.get(key) !== watched || watched.opening !== undefined) return
    this.#watched.delete(key)
    if (node !== undefined) this.#unwatch(key, node)
  }

  #unwatch(key: string, node: string): void {
    if (node === this.#cluster.id) this.#homes.leave(key, node)
    else this.#cluster.tell(node, ['leave', key])
  }
}

function pagesOf<Item>(list: readonly Item[]): Item[][] {
  const pages: Item[][] = []
  for (let at = 0; at < list.length; at += PAGE) pages.push(list.slice(at, at + PAGE))
  return pages
}
