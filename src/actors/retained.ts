import type { Outgoing } from './outgoing.js'

/** Counted for each message besides its frame: what the objects around it take. */
const OVERHEAD = 128
/** Messages that were let go of before the list is cut. */
const SLACK = 256

/** Bytes that a message takes while it is kept. */
export function weightOf(outgoing: Outgoing): number {
  return outgoing.size + OVERHEAD
}

/**
 * What was sent to a client and is not acknowledged, by its numbers.
 *
 * Bounded: past the bytes the oldest is let go of, and whoever lacks that one cannot be sent the rest.
 */
export class Retained {
  readonly #limit: number
  #messages: (Outgoing | undefined)[] = []
  /** Where the oldest stands in the list. */
  #head = 0
  /** How many came before the oldest. */
  #before = 0
  #acknowledged = 0
  #bytes = 0

  /** @param limit bytes */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** The number of the last one sent. */
  get sent(): number {
    return this.#before + this.#messages.length - this.#head
  }

  /** The number of the last one that the client said it has. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** How many came before those that are kept. */
  get before(): number {
    return this.#before
  }

  /** Begins where another one was: messages are added behind so many. */
  begin(before: number, acknowledged: number): void {
    this.#before = before
    this.#acknowledged = acknowledged
  }

  /** Keeps one that was sent; it has the next number. */
  add(outgoing: Outgoing): void {
    this.#messages.push(outgoing)
    this.#bytes += weightOf(outgoing)
    while (this.#bytes > this.#limit) this.#drop()
  }

  /** The client has all up to this number; what it has said before counts for nothing. */
  acknowledge(number: number): void {
    if (number <= this.#acknowledged) return
    this.#acknowledged = number
    while (this.#before < number) this.#drop()
  }

  /** Whether all behind this number is still here. */
  covers(number: number): boolean {
    return number >= this.#before
  }

  /** All that is kept, in order. */
  all(): readonly Outgoing[] {
    return this.#messages.slice(this.#head) as Outgoing[]
  }

  #drop(): void {
    this.#bytes -= weightOf(this.#messages[this.#head]!)
    this.#messages[this.#head++] = undefined
    this.#before++
    if (this.#head === this.#messages.length) {
      this.#messages = []
      this.#head = 0
    } else if (this.#head > SLACK && this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head)
      this.#head = 0
    }
  }
}
