import { Ring } from './ring.js'

/**
 * Why nobody handled a message: its actor had stopped or restarted without its mailbox, the mailbox was
 * full, or a later message took its place.
 */
export type DeadLetterReason = 'stopped' | 'restarted' | 'full' | 'dropped' | 'replaced'

/** A message that nobody handled, and why. */
export interface DeadLetter {
  /** Address of the actor that it was for. */
  readonly to: string
  /** Address of the actor that told it; undefined when that was no actor, or it is not known. */
  readonly from: string | undefined
  /** The message's `type`, or the name of its class. */
  readonly type: string
  readonly reason: DeadLetterReason
}

/** Hears of dead letters; the message itself is kept nowhere. */
export type DeadLetterListener = (letter: DeadLetter, message: object) => void

/** Dead letters remembered. */
const KEPT = 1000

/** The messages that nobody handled: counted, the last 1,000 remembered, told to who subscribes. */
export class DeadLetters {
  readonly #counts: Record<DeadLetterReason, number> = {
    stopped: 0,
    restarted: 0,
    full: 0,
    dropped: 0,
    replaced: 0,
  }
  readonly #kept = new Ring<DeadLetter>()
  readonly #listeners = new Set<DeadLetterListener>()
  readonly #failed: (error: unknown) => void

  /** @param failed is told what a listener throws */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  /** How many there were, by reason. */
  get counts(): Readonly<Record<DeadLetterReason, number>> {
    return this.#counts
  }

  /** The last 1,000, oldest first. */
  get recent(): readonly DeadLetter[] {
    return this.#kept.toArray()
  }

  /** Calls back with each from now on; returns what ends it. */
  subscribe(listener: DeadLetterListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** @internal Counts, remembers and tells. */
  add(letter: DeadLetter, message: object): void {
    this.#counts[letter.reason]++
    if (this.#kept.length === KEPT) this.#kept.shift()
    this.#kept.push(letter)
    for (const listener of this.#listeners) {
      try {
        listener(letter, message)
      } catch (error) {
        this.#failed(error)
      }
    }
  }
}

/** What a message is called: its `type`, or the name of its class. */
export function messageType(message: object): string {
  const { type } = message as { type?: unknown }
  return typeof type === 'string' ? type : (message.constructor?.name ?? 'Object')
}
