import { hostname } from 'node:os'
import { pack, unpack } from '../codec/packed.js'
import type { Presence, Subscription } from '../engines/presence.js'
import type { Logger } from '../log.js'
import type { ClusterSettings } from './options.js'

/** The engine's channel of presence that servers are in. */
const CHANNEL = '$cluster'
/** Servers asked for at once. */
const PAGE = 1000

/** A server of a cluster. */
export interface ClusterNode {
  readonly id: string
  /** The option `cluster.name`, or the name of its host. */
  readonly name: string
  readonly pid: number
  /** When it started, in milliseconds since 1970, by its own clock. */
  readonly started: number
  /** What it answers; see `answer`. */
  readonly answers: readonly string[]
}

/** What the list of servers tells. */
export interface NodesEvents {
  joined(id: string): void
  /** Gone: it has left, or has not renewed its lease. */
  left(id: string): void
}

/** The servers of a cluster, each with a lease that it renews, and this one among them. */
export class Nodes {
  readonly own: string
  readonly #presence: Presence
  readonly #settings: ClusterSettings
  readonly #events: NodesEvents
  readonly #log: Logger
  readonly #answers = new Set<string>()
  readonly #started = Date.now()
  readonly #others = new Set<string>()
  /** What the others answer, by the last list; and from it who answers to a name that was asked for. */
  #listed: readonly ClusterNode[] = []
  readonly #able = new Map<string, readonly string[]>()
  readonly #name: string
  /** Reads under way, each with those who came or went meanwhile: what it has of them is older. */
  readonly #reads = new Set<Set<string>>()
  #watching: Subscription | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(own: string, presence: Presence, settings: ClusterSettings, events: NodesEvents, log: Logger) {
    this.own = own
    this.#presence = presence
    this.#settings = settings
    this.#events = events
    this.#log = log
    this.#name = settings.name ?? hostname()
  }

  /** Ids of others that answer to a name, as far as this server has heard; one that came just now may be missing. */
  able(name: string): readonly string[] {
    let able = this.#able.get(name)
    if (able !== undefined) return able
    able = this.#listed
      .filter(({ id, answers }) => this.#others.has(id) && answers.includes(name))
      .map(({ id }) => id)
    // Names that nobody answers are as many as callers make up.
    if (able.length > 0) this.#able.set(name, able)
    return able
  }

  /** Ids of the others, as far as this server has heard. */
  get others(): ReadonlySet<string> {
    return this.#others
  }

  /** Enters the list; rejects with what the engine refuses it with, and tries again by itself. */
  async join(): Promise<void> {
    this.#timer = setInterval(() => void this.#renew(), this.#settings.lease / 3).unref()
    await this.#enter()
  }

  /** The servers there, this one first. */
  async list(): Promise<ClusterNode[]> {
    const nodes: ClusterNode[] = []
    const changed = new Set<string>()
    this.#reads.add(changed)
    try {
      for (let after = ''; ; ) {
        const page = await this.#presence.members(CHANNEL, { after, limit: PAGE })
        for (const { member, info } of page) nodes.push(nodeOf(member, info))
        if (page.length < PAGE) break
        after = page.at(-1)!.member
      }
    } finally {
      this.#reads.delete(changed)
    }
    const others = nodes.filter(({ id }) => id !== this.own)
    this.#listed = others
    this.#able.clear()
    this.#compare(
      others.map(({ id }) => id),
      changed,
    )
    return [this.#self(), ...others]
  }

  /** Says that this server answers to a name, or does not any more. */
  answers(name: string, does: boolean): void {
    if (does) this.#answers.add(name)
    else this.#answers.delete(name)
    if (this.#timer !== undefined && !this.#closed) this.#enter().catch(() => undefined)
  }

  /** Leaves the list. */
  async leave(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    this.#watching?.close()
    if (this.#timer === undefined) return
    await this.#presence.leave(CHANNEL, this.own).catch(() => undefined)
  }

  async #enter(): Promise<void> {
    this.#watching ??= await this.#watch()
    await this.#presence.join(CHANNEL, this.own, pack(this.#self()), this.#settings.lease)
    // It may have been closed meanwhile, and left before it was there.
    if (this.#closed) await this.#presence.leave(CHANNEL, this.own).catch(() => undefined)
    else await this.list()
  }

  async #watch(): Promise<Subscription> {
    const watching = await this.#presence.watch(CHANNEL, {
      joined: ({ member }) => this.#joined(member),
      left: ({ member }) => this.#left(member),
      gap: () => void this.list().catch(() => undefined),
    })
    if (this.#closed) watching.close()
    return watching
  }

  async #renew(): Promise<void> {
    try {
      if (await this.#presence.refresh(CHANNEL, this.own, this.#settings.lease)) await this.list()
      else await this.#enter()
    } catch (error) {
      if (!this.#closed) this.#log.warn('the lease of this server in its cluster was not renewed', { error })
    }
  }

  /** What was missed is made up for. */
  #compare(ids: readonly string[], changed: ReadonlySet<string>): void {
    const there = new Set(ids)
    for (const id of [...this.#others]) if (!there.has(id) && !changed.has(id)) this.#left(id)
    for (const id of ids) if (!changed.has(id)) this.#joined(id)
  }

  #joined(id: string): void {
    for (const changed of this.#reads) changed.add(id)
    if (id === this.own || this.#others.has(id) || this.#closed) return
    this.#others.add(id)
    this.#events.joined(id)
  }

  #left(id: string): void {
    for (const changed of this.#reads) changed.add(id)
    this.#able.clear()
    if (!this.#others.delete(id) || this.#closed) return
    this.#events.left(id)
  }

  #self(): ClusterNode {
    return {
      id: this.own,
      name: this.#name,
      pid: process.pid,
      started: this.#started,
      answers: [...this.#answers],
    }
  }
}

function nodeOf(id: string, info: Uint8Array): ClusterNode {
  return { ...(unpack(info) as ClusterNode), id }
}
