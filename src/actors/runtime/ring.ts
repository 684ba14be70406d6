/** Shared by all empty rings; never written to, because growing replaces it. */
const NONE: never[] = []

/**
 * A first-in first-out queue in a ring of slots.
 *
 * Grows by doubling and never truncates: `push` and `shift` stay constant in time, and no array is
 * moved while a mailbox fills and empties. Slots are made on the first push.
 */
export class Ring<T> {
  #slots: (T | undefined)[] = NONE
  #head = 0
  length = 0

  /** Adds an item at the end. */
  push(item: T): void {
    if (this.length === this.#slots.length) this.#grow()
    this.#slots[(this.#head + this.length) & (this.#slots.length - 1)] = item
    this.length++
  }

  /** Puts an item back at the beginning. */
  unshift(item: T): void {
    if (this.length === this.#slots.length) this.#grow()
    this.#head = (this.#head - 1) & (this.#slots.length - 1)
    this.#slots[this.#head] = item
    this.length++
  }

  /** Takes the oldest item; undefined when empty. */
  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#slots.length - 1)
    this.length--
    return item
  }

  /** The items, oldest first. */
  toArray(): T[] {
    return Array.from({ length: this.length }, (_, i) => this.#at(i))
  }

  #at(i: number): T {
    return this.#slots[(this.#head + i) & (this.#slots.length - 1)] as T
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Array<T | undefined>(old.length * 2 || 8).fill(undefined)
    for (let i = 0; i < this.length; i++) slots[i] = old[(this.#head + i) & (old.length - 1)]
    this.#slots = slots
    this.#head = 0
  }
}
