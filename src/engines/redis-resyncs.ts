/** Reads under way at once: few, so that the calls of the application are not held up by them. */
const MOST_READS = 64

/** Something that reads what it has missed. */
export interface Resyncing {
  /** Resolves when it has, or could not; never rejects. */
  read(): Promise<void>
}

/** When channels read what they have missed: a few at once, the others in the order in which they asked. */
export class RedisResyncs {
  /** Those that know of something missed. */
  readonly #urgent = new Set<Resyncing>()
  /** Those that may have missed something. */
  readonly #others = new Set<Resyncing>()
  #reading = 0

  /** Has it read when its turn comes, once however often it asks until then. */
  add(one: Resyncing, isUrgent: boolean): void {
    if (this.#reading < MOST_READS) return void this.#read(one)
    if (isUrgent) {
      this.#others.delete(one)
      this.#urgent.add(one)
    } else if (!this.#urgent.has(one)) this.#others.add(one)
  }

  /** Forgets those that wait. */
  clear(): void {
    this.#urgent.clear()
    this.#others.clear()
  }

  /** Forgets one that waits. */
  delete(one: Resyncing): void {
    this.#urgent.delete(one)
    this.#others.delete(one)
  }

  async #read(first: Resyncing): Promise<void> {
    this.#reading++
    for (let one: Resyncing | undefined = first; one; one = this.#next()) await one.read()
    this.#reading--
  }

  #next(): Resyncing | undefined {
    for (const waiting of [this.#urgent, this.#others]) {
      for (const one of waiting) {
        waiting.delete(one)
        return one
      }
    }
    return undefined
  }
}
