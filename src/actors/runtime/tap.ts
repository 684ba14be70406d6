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

/** Says which messages a listener hears of; MUST NOT throw. It is asked twice about each: that must be cheap. */
export type TapFilter = (message: object) => boolean

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
  /** Who hears, and of what; without a filter of everything. */
  readonly listeners = new Map<TapListener, TapFilter | undefined>()
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
    if (by !== undefined && this.#isWanted(message)) this.#tellers.set(message, by)
  }

  /** Has the actor handle a message. */
  around(actor: Handler, message: object): void {
    if (!this.#isWanted(message)) return this.#past(actor, message)
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
      for (const [listener, wants] of this.listeners) {
        if (wants !== undefined && !wants(message)) continue
        try {
          listener(turn)
        } catch {
          // It only looks on: the actor has nothing to do with what becomes of it.
        }
      }
    }
  }

  /** Of a message that nobody wants to hear of nothing is measured. */
  #past(actor: Handler, message: object): void {
    this.inside = true
    try {
      actor.handle(message)
    } finally {
      this.inside = false
    }
  }

  #isWanted(message: object): boolean {
    for (const wants of this.listeners.values()) if (wants === undefined || wants(message)) return true
    return false
  }
}
