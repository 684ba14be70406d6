import type { ActorPage, ActorQuery, ActorRow } from '../protocol/index.js'

/** Rows that are asked for at once. */
export const BLOCK = 100
/** Blocks of one parent that are kept, in sight or not. */
const KEPT_BLOCKS = 40

/** A line of the tree as it is shown; without a row until that is loaded. */
export interface Line {
  readonly index: number
  readonly level: number
  /** Place among its siblings, and how many there are. */
  readonly position: number
  readonly siblings: number
  readonly row: ActorRow | undefined
  readonly expanded: boolean
}

/** Children of one actor: how many, and those that are known, in blocks. */
interface Branch {
  readonly parent: string
  total: number
  readonly blocks: Map<number, readonly ActorRow[]>
  /** Those that are open, by path, with their place. */
  readonly open: Map<string, { place: number; readonly branch: Branch }>
}

/** What the tree shows, and in which order. */
export type TreeQuery = Pick<ActorQuery, 'search' | 'kind' | 'minDepth' | 'sort' | 'descending' | 'deep'>

/**
 * The lines of a tree of any size, of which only those in sight are asked for.
 *
 * A branch knows how many children it has and those few that are open; where a line is follows from sums over the
 * open ones, whatever there is in between.
 */
export class TreeModel {
  readonly query: TreeQuery
  readonly #ask: (query: ActorQuery) => Promise<ActorPage>
  readonly #root: Branch = branchOf('/')
  #loaded = false

  /** @param ask gives windows of children */
  constructor(query: TreeQuery, ask: (query: ActorQuery) => Promise<ActorPage>) {
    this.query = query
    this.#ask = ask
  }

  /** Whether it shows a flat list: what was found, below no parents. */
  get flat(): boolean {
    const { deep, search, kind, minDepth } = this.query
    return deep === true || Boolean(search) || kind !== undefined || minDepth !== undefined
  }

  /** Whether the first answer is there. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** Lines there are. */
  get length(): number {
    return lengthOf(this.#root)
  }

  /** The line at an index. @throws RangeError */
  line(index: number): Line {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`there is no line ${index}`)
    return this.#at(index).line
  }

  /** Index of the parent's line, or -1. */
  parentOf(index: number): number {
    return this.#at(index).parentIndex
  }

  /** Opens an actor's children. */
  async expand(index: number): Promise<void> {
    const { branch, line } = this.#at(index)
    const { row } = line
    if (row === undefined || row.children === 0 || this.flat || line.expanded) return
    const opened = branchOf(row.path)
    opened.total = row.children
    branch.open.set(row.path, { place: line.position, branch: opened })
    await this.#load(opened, 0)
  }

  collapse(index: number): void {
    const { branch, line } = this.#at(index)
    if (line.row !== undefined) branch.open.delete(line.row.path)
  }

  /** Asks for the lines from one index to another, those at hand too: they are as old as they are. */
  async load(from: number, to: number): Promise<void> {
    if (!this.#loaded) {
      await this.#load(this.#root, 0)
      this.#loaded = true
      return
    }
    const wanted = new Map<Branch, Set<number>>()
    for (let index = Math.max(0, from); index < Math.min(to, this.length); index++) {
      const { branch, line } = this.#at(index)
      const blocks = wanted.get(branch) ?? new Set()
      wanted.set(branch, blocks.add(Math.floor(line.position / BLOCK)))
    }
    // Without lines there is nothing in sight, and still something may have come.
    if (wanted.size === 0) wanted.set(this.#root, new Set([0]))
    const loads = [...wanted].flatMap(([branch, blocks]) =>
      [...blocks].map(block => this.#load(branch, block)),
    )
    await Promise.all(loads)
  }

  async #load(branch: Branch, block: number): Promise<void> {
    const { parent } = branch
    const query = { ...this.query, deep: this.flat, parent, offset: block * BLOCK, limit: BLOCK }
    let page: ActorPage
    try {
      page = await this.#ask(query)
    } catch (error) {
      if ((error as { code?: string }).code !== 'NOT_FOUND') throw error
      // It has gone between two looks; its parent's next answer takes its line away.
      page = { rows: [], total: 0, offset: 0, sampledAt: 0, every: 0 }
    }
    branch.total = page.total
    branch.blocks.delete(block)
    branch.blocks.set(block, page.rows)
    for (const [path, opened] of branch.open) {
      const place = page.rows.findIndex(row => row.path === path)
      if (place >= 0) opened.place = block * BLOCK + place
      // Where it was there is another now: it has moved out of sight, or gone.
      else if (Math.floor(opened.place / BLOCK) === block) branch.open.delete(path)
    }
    for (const old of branch.blocks.keys()) {
      if (branch.blocks.size <= KEPT_BLOCKS) break
      branch.blocks.delete(old)
    }
  }

  #at(index: number): { branch: Branch; line: Line; parentIndex: number } {
    let branch = this.#root
    let level = 1
    let left = index
    let parentIndex = -1
    for (;;) {
      let inner: { place: number; branch: Branch } | undefined
      let skipped = 0
      for (const opened of placesOf(branch)) {
        const before = opened.place + 1 + skipped
        if (left < before) break
        const length = lengthOf(opened.branch)
        if (left < before + length) {
          inner = opened
          parentIndex = index - left + before - 1
          left -= before
          break
        }
        skipped += length
      }
      if (inner !== undefined) {
        branch = inner.branch
        level++
        continue
      }
      const position = left - skipped
      const row = branch.blocks.get(Math.floor(position / BLOCK))?.[position % BLOCK]
      const expanded = row !== undefined && branch.open.has(row.path)
      return { branch, line: { index, level, position, siblings: branch.total, row, expanded }, parentIndex }
    }
  }
}

function branchOf(parent: string): Branch {
  return { parent, total: 0, blocks: new Map(), open: new Map() }
}

function placesOf(branch: Branch) {
  return [...branch.open.values()].sort((a, b) => a.place - b.place)
}

function lengthOf(branch: Branch): number {
  let length = branch.total
  for (const { branch: inner } of branch.open.values()) length += lengthOf(inner)
  return length
}
