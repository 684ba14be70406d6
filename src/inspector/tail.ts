/**
 * The last so many of a stream of things, each with a number; who reads knows what was missed.
 *
 * Bounded by count: what is in it is bounded in size by who puts it there.
 */
export class Tail<Item> {
  /** Numbers given so far. */
  end = 0
  readonly #most: number
  #items: Item[] = []
  /** Where the oldest is, once the list goes round. */
  #start = 0

  /** @param most items kept */
  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#items.length
  }

  push(item: Item): void {
    this.end++
    if (this.#items.length < this.#most) this.#items.push(item)
    else {
      this.#items[this.#start] = item
      this.#start = (this.#start + 1) % this.#most
    }
  }

  /** All that are kept, oldest first. */
  all(): Item[] {
    return [...this.#items.slice(this.#start), ...this.#items.slice(0, this.#start)]
  }

  /** The last one. */
  get last(): Item | undefined {
    return this.#items[(this.#start + this.#items.length - 1) % this.#most] ?? this.#items.at(-1)
  }

  /** What came after a number, at most so many of the newest, and how many of them are missing. */
  since(number: number, most = this.#most): { readonly items: Item[]; readonly dropped: number } {
    const wanted = this.end - number
    const given = Math.min(wanted, this.#items.length, most)
    return { items: given <= 0 ? [] : this.all().slice(-given), dropped: Math.max(0, wanted - given) }
  }

  clear(): void {
    this.#items = []
    this.#start = 0
  }
}
