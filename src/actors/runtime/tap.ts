import type { SystemCounters } from './system.js'

/** A message that an actor has handled. */
export interface Turn {
  readonly message: object
  /** Address of the actor that told it; undefined when that was none. */
  readonly from: string | undefined
  /** When the handler began, in milliseconds of `performance.now()`. */
  readonly began: number
  /** Milliseconds that it held the event loop; what it waits for is not in them. */
  readonly took: number
  /** Messages that wait behind it. */
  readonly depth: number
  /** Whether it threw. */
  readonly failed: boolean
}

/** Hears of messages after they were handled. What it throws is dropped. */
export type TapListener = (turn: Turn) => void

/** What a tap calls. */
interface Handler {
  readonly depth: number
  handle(message: object): void
}

/**
 * Sees the messages of one actor; only actors that somebody looks at have one.
 *
 * Its listeners come after the handler, and cannot keep the actor from its next message.
 */
export class Tap {
  readonly listeners = new Set<TapListener>()
  /** Whether a message of the actor is being handled. */
  inside = false
  readonly #counters: SystemCounters
  /** Of one message told by two actors the last is known. */
  readonly #tellers = new WeakMap<object, string>()

  constructor(counters: SystemCounters) {
    this.#counters = counters
  }

  /** A message is told to the actor. */
  told(message: object, by: string | undefined): void {
    if (by !== undefined) this.#tellers.set(message, by)
  }

  /** Has the actor handle a message. */
  around(actor: Handler, message: object): void {
    const { crashes } = this.#counters
    const from = this.#tellers.get(message)
    const began = performance.now()
    this.inside = true
    try {
      actor.handle(message)
    } finally {
      this.inside = false
      const took = performance.now() - began
      const failed = this.#counters.crashes > crashes
      const turn = { message, from, began, took, depth: actor.depth, failed }
      for (const listener of this.listeners) {
        try {
          listener(turn)
        } catch {
          // It only looks on: the actor has nothing to do with what becomes of it.
        }
      }
    }
  }
}
