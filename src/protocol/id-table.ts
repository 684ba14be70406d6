/** Slots to begin with; a power of two. */
const INITIAL = 8

/**
 * A table by correlation id: for ids given out in order and soon given back.
 *
 * Looks up by the low bits of the id, without hashing and without garbage; a `Map`, whose deleted entries
 * must be collected, costs several times as much. Ids that fall on the same slot while the table is at
 * most half full, such as those of a call that lasts long, go to a map on the side.
 */
export class IdTable<T> {
  #ids: number[] = []
  #items: (T | undefined)[] = []
  #aside: Map<number, T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: number): T | undefined {
    const slot = this.#slot(id)
    return this.#ids[slot] === id ? this.#items[slot] : this.#aside?.get(id)
  }

  /** Adds an item. The id must not be in use. */
  add(id: number, item: T): void {
    if (this.#size * 2 >= this.#items.length) this.#grow()
    this.#size++
    this.#put(id, item)
  }

  /** Removes an item; returns whether it was there. */
  delete(id: number): boolean {
    const slot = this.#slot(id)
    if (this.#ids[slot] === id && this.#items[slot] !== undefined) {
      this.#items[slot] = undefined
      this.#ids[slot] = -1
    } else if (!this.#aside?.delete(id)) return false
    this.#size--
    return true
  }

  /** All entries, in no particular order. */
  entries(): [id: number, item: T][] {
    const entries: [number, T][] = this.#aside === undefined ? [] : [...this.#aside]
    for (const [slot, item] of this.#items.entries()) {
      if (item !== undefined) entries.push([this.#ids[slot]!, item])
    }
    return entries
  }

  /** Ids of one side are all odd or all even: their lowest bit says nothing. */
  #slot(id: number): number {
    return (id >>> 1) & (this.#items.length - 1)
  }

  #put(id: number, item: T): void {
    const slot = this.#slot(id)
    if (this.#items[slot] === undefined) {
      this.#ids[slot] = id
      this.#items[slot] = item
    } else {
      this.#aside ??= new Map()
      this.#aside.set(id, item)
    }
  }

  #grow(): void {
    const entries = this.entries()
    const slots = this.#items.length * 2 || INITIAL
    this.#ids = new Array<number>(slots).fill(-1)
    this.#items = new Array<T | undefined>(slots).fill(undefined)
    this.#aside = undefined
    for (const [id, item] of entries) this.#put(id, item)
  }
}
