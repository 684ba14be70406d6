import { ActorRef } from './actor-ref.js'
import { RunQueue } from './run-queue.js'

/** Counters of one actor system; sampled, never watched. */
export interface SystemCounters {
  /** Actors alive. */
  actors: number
  /** Exceptions that behaviours threw. */
  crashes: number
  /** Messages that nobody handled. */
  deadLetters: number
}

/** A message that nobody handled, and why. */
export interface DeadLetter {
  readonly to: string
  readonly message: object
  readonly reason: 'stopped' | 'full'
}

/** What an actor system needs from outside. */
export interface SystemOptions {
  /** Called with every exception that a behaviour throws. */
  readonly crashed?: (path: string, error: unknown, message: object | undefined) => void
  /** Called with every message that nobody handled. */
  readonly deadLetter?: (letter: DeadLetter) => void
}

/**
 * One tree of actors with its run queue and counters.
 *
 * The root supervises and takes no messages of its own.
 */
export class ActorSystem {
  readonly queue = new RunQueue()
  readonly counters: SystemCounters = { actors: 0, crashes: 0, deadLetters: 0 }
  readonly root: ActorRef<never>
  readonly #options: SystemOptions

  constructor(options: SystemOptions = {}) {
    this.#options = options
    this.root = new ActorRef<never>(this, undefined, '', { receive() {} })
  }

  /** Stops every actor, children before parents. */
  stop(): void {
    this.root.stop()
  }

  /** Counts a crash and reports it. */
  crashed(path: string, error: unknown, message: object | undefined): void {
    this.counters.crashes++
    attempt(() => this.#options.crashed?.(path, error, message))
  }

  /** Counts a dead letter and reports it. */
  deadLetter(to: string, message: object, reason: DeadLetter['reason']): void {
    this.counters.deadLetters++
    attempt(() => this.#options.deadLetter?.({ to, message, reason }))
  }
}

/** A callback that throws must not silence the actor that it was told of. */
function attempt(callback: () => void): void {
  try {
    callback()
  } catch {
    // There is nobody left to tell.
  }
}
