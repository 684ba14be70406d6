import { Ring } from './ring.js'

/** Something that has messages waiting. */
export interface Runnable {
  /** Handles up to `budget` messages; returns how many, at least 1. */
  run(budget: number): number
}

/** Messages handled in one turn of the event loop before timers and sockets get theirs. */
const TURN_BUDGET = 4096
/** Messages one actor handles before the next one gets its turn. */
const ACTOR_BUDGET = 64

/**
 * The run queue: which actors have messages, in the order they got them.
 *
 * XState delivers in the sender's stack, so that a chain of 2,000 hops overflows it. Here the
 * outermost `tell` drains the queue in a loop, whatever the handlers tell meanwhile, and after
 * `TURN_BUDGET` messages yields through `setImmediate`. Fair between actors by `ACTOR_BUDGET`.
 */
export class RunQueue {
  readonly #ready = new Ring<Runnable>()
  #draining = false
  #yielding = false

  /** Whether a handler is running, or others wait: a new message must queue. */
  get busy(): boolean {
    return this.#draining || this.#yielding
  }

  /** Puts an actor in line; the outermost caller drains. */
  schedule(actor: Runnable): void {
    this.#ready.push(actor)
    if (!this.#draining && !this.#yielding) this.#drain()
  }

  /** Runs `first`, the handling of one message, then all that follows from it. Call it only when not `busy`. */
  runThrough(actor: { deliver(message: object): void }, message: object): void {
    this.#draining = true
    try {
      actor.deliver(message)
    } finally {
      this.#draining = false
    }
    if (this.#ready.length > 0) this.#drain()
  }

  #drain(): void {
    this.#draining = true
    let budget = TURN_BUDGET
    try {
      while (budget > 0) {
        const actor = this.#ready.shift()
        if (actor === undefined) break
        budget -= actor.run(ACTOR_BUDGET)
      }
    } finally {
      this.#draining = false
      if (this.#ready.length > 0) {
        this.#yielding = true
        setImmediate(this.#continue)
      }
    }
  }

  #continue = (): void => {
    this.#yielding = false
    this.#drain()
  }
}
