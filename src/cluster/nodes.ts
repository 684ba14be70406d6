import { hostname } from 'node:os'
import { pack, unpack } from '../codec/packed.js'
import type { Member, Presence, Subscription } from '../engines/presence.js'
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

/** Another server, as it was last told of, and when: by `performance.now()`. */
interface Known {
  readonly node: ClusterNode
  readonly seen: number
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
  /** What was last heard of each of the others; and from it who answers to a name that was asked for. */
  readonly #known = new Map<string, Known>()
  readonly #able = new Map<string, readonly string[]>()
  /** Others that were there when the engine had lost its list: they are given time to enter it again. */
  readonly #doubted = new Set<string>()
  readonly #name: string
  /** Reads under way, each with those who came or went meanwhile: what it has of them is older. */
  readonly #reads = new Set<Set<string>>()
  #watched: Subscription | undefined
  #watching: Promise<void> | undefined
  /** Whether this server is about to enter the list again. */
  #isAgain = false
  /** How often this server has entered the list. */
  #entries = 0
  /** Whether the last list had this server, so that it has the others as well. */
  #isWhole = false
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
    able = [...this.#known.values()]
      .filter(({ node }) => node.answers.includes(name))
      .map(({ node }) => node.id)
    // Names that nobody answers are as many as callers make up.
    if (able.length > 0) this.#able.set(name, able)
    return able
  }

  /** Ids of the others, as far as this server has heard. */
  get others(): ReadonlySet<string> {
    return this.#others
  }

  /** Whether there are no others for certain. */
  get isAlone(): boolean {
    return this.#isWhole && this.#others.size === 0
  }

  /** The servers there as far as this one has heard, this one first. */
  get known(): ClusterNode[] {
    return [this.#self(), ...[...this.#known.values()].map(({ node }) => node)]
  }

  /** Enters the list; rejects with what the engine refuses it with, and tries again by itself. */
  async join(): Promise<void> {
    if (this.#closed) return
    this.#timer ??= setInterval(() => void this.#renew(), this.#settings.lease / 3).unref()
    await this.#enter()
  }

  /** Enters the list again, as something may have been missed or lost: once, however many say so at a time. */
  again(): void {
    if (this.#timer === undefined || this.#isAgain) return
    this.#isAgain = true
    queueMicrotask(() => {
      this.#isAgain = false
      // The next renewal tries again.
      this.#enter().catch(() => undefined)
    })
  }

  /** The servers there, this one first; those that are given time to enter again among them. */
  async list(): Promise<ClusterNode[]> {
    if (!(await this.#read())) this.again()
    return this.known
  }

  /** Says that this server answers to a name, or does not any more. */
  answers(name: string, does: boolean): void {
    if (does) this.#answers.add(name)
    else this.#answers.delete(name)
    if (this.#timer !== undefined) this.#enter().catch(() => undefined)
  }

  /** Leaves the list. */
  async leave(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    this.#watched?.close()
    if (this.#timer === undefined) return
    await this.#presence.leave(CHANNEL, this.own).catch(() => undefined)
  }

  async #enter(): Promise<void> {
    if (this.#closed) return
    if (this.#watched === undefined) await this.#watch()
    if (this.#closed) return
    const wasAbsent = await this.#presence.join(CHANNEL, this.own, pack(this.#self()), this.#settings.lease)
    // It may have been closed meanwhile, and left before it was there.
    if (this.#closed) {
      await this.#presence.leave(CHANNEL, this.own).catch(() => undefined)
      return
    }
    if (wasAbsent) this.#doubt()
    this.#entries++
    await this.#read()
  }

  /** Hears who comes and goes: once, however many want it at a time. */
  #watch(): Promise<void> {
    const handler = {
      joined: ({ member, info }: Member) => this.#joined(nodeOf(member, info)),
      left: ({ member }: Member) => this.#left(member),
      gap: () => this.again(),
    }
    this.#watching ??= this.#presence
      .watch(CHANNEL, handler)
      .then(watched => {
        if (this.#closed) watched.close()
        else this.#watched = watched
      })
      .finally(() => {
        this.#watching = undefined
      })
    return this.#watching
  }

  async #renew(): Promise<void> {
    try {
      if (await this.#presence.refresh(CHANNEL, this.own, this.#settings.lease)) await this.list()
      else {
        this.#doubt()
        await this.#enter()
      }
    } catch (error) {
      if (!this.#closed) this.#log.warn('the lease of this server in its cluster was not renewed', { error })
    }
  }

  /** Reads the list; resolves to false when the engine has lost this server. */
  async #read(): Promise<boolean> {
    const nodes: ClusterNode[] = []
    const entries = this.#entries
    const began = performance.now()
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
    const isThere = nodes.some(({ id }) => id === this.own)
    // A list from before this server entered says nothing about that.
    const isLost = !isThere && entries > 0 && entries === this.#entries && !this.#closed
    if (isLost) this.#doubt()
    else if (isThere) this.#isWhole = true
    this.#compare(nodes, changed, began)
    return !isLost
  }

  /** The engine had lost this server, and so the others as well. */
  #doubt(): void {
    if (this.#entries === 0) return
    this.#isWhole = false
    for (const id of this.#others) this.#doubted.add(id)
  }

  /** What was missed is made up for. */
  #compare(nodes: readonly ClusterNode[], changed: ReadonlySet<string>, seen: number): void {
    const there = new Set(nodes.map(({ id }) => id))
    for (const id of [...this.#others]) {
      if (!there.has(id) && !changed.has(id) && !this.#mayReturn(id)) this.#left(id)
    }
    for (const node of nodes) {
      if (!changed.has(node.id)) this.#joined(node, seen)
      else if (this.#known.has(node.id)) this.#known.set(node.id, { node, seen })
    }
    this.#able.clear()
  }

  /** Whether a server that is not listed may still enter the list again. */
  #mayReturn(id: string): boolean {
    return this.#doubted.has(id) && performance.now() - this.#known.get(id)!.seen < this.#settings.lease
  }

  #joined(node: ClusterNode, seen = performance.now()): void {
    const { id } = node
    for (const changed of this.#reads) changed.add(id)
    if (id === this.own || this.#closed) return
    this.#known.set(id, { node, seen })
    this.#able.clear()
    this.#doubted.delete(id)
    if (this.#others.has(id)) return
    this.#others.add(id)
    this.#events.joined(id)
  }

  #left(id: string): void {
    for (const changed of this.#reads) changed.add(id)
    this.#able.clear()
    this.#known.delete(id)
    this.#doubted.delete(id)
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
