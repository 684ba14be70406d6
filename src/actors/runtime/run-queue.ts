import { Ring } from './ring.js'

/** Something that messages are for. */
export interface Runnable {
  /** Handles up to `budget` of its waiting messages; returns how many, at least 1. */
  run(budget: number): number
  /** Handles one message that did not have to wait in its mailbox. */
  take(message: object): void
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
  // The only message that waits, if it is one: most chains of actors never have more.
  #next: Runnable | undefined
  #message: object | undefined
  #draining = false
  #yielding = false
  /** The actor whose handler is running. */
  current: Runnable | undefined

  /** Whether a handler is running, or others wait: a new message must queue. */
  get busy(): boolean {
    return this.#draining || this.#yielding
  }

  /** Puts an actor in line; the outermost caller drains. */
  schedule(actor: Runnable): void {
    this.#ready.push(actor)
    if (!this.#draining && !this.#yielding) this.#drain()
  }

  /** Keeps the message if it is the only one that waits; otherwise it belongs in its mailbox. */
  offer(actor: Runnable, message: object): boolean {
    if (this.#next !== undefined || this.#ready.length > 0) return false
    this.#next = actor
    this.#message = message
    return true
  }

  /** Whether this actor's message is the one kept. */
  keepsFor(actor: Runnable): boolean {
    return this.#next === actor
  }

  /** Takes the message back that is kept for this actor. */
  giveUp(actor: Runnable): object | undefined {
    if (this.#next !== actor) return undefined
    const message = this.#message
    this.#next = undefined
    this.#message = undefined
    return message
  }

  /** Handles one message, then all that follows from it. Call it only when not `busy`. */
  runThrough(actor: Runnable, message: object): void {
    this.#next = actor
    this.#message = message
    this.#drain()
  }

  #drain(): void {
    this.#draining = true
    let budget = TURN_BUDGET
    try {
      while (budget > 0) {
        const next = this.#next
        if (next !== undefined) {
          const message = this.#message!
          this.#next = undefined
          this.#message = undefined
          budget--
          this.current = next
          next.take(message)
          continue
        }
        const actor = this.#ready.shift()
        if (actor === undefined) break
        this.current = actor
        budget -= actor.run(ACTOR_BUDGET)
      }
    } finally {
      this.#draining = false
      this.current = undefined
      if (this.#next !== undefined || this.#ready.length > 0) {
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
