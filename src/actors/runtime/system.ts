import type { KeyValue } from '../../engines/engine.js'
import { ActorRef } from './actor-ref.js'
import { type DeadLetterReason, DeadLetters, messageType } from './dead-letters.js'
import type { KitScope } from './logic.js'
import { Registry, type RegistryEvent } from './registry.js'
import { RunQueue } from './run-queue.js'
import { type Clock, systemClock, TimerWheel } from './timer-wheel.js'
import type { WatchEvent, WatchListener } from './watch.js'

/** Counters of one actor system; sampled, never watched. */
export interface SystemCounters {
  /** Actors alive. */
  actors: number
  /** Exceptions that behaviours threw. */
  crashes: number
  /** Messages that nobody handled. */
  deadLetters: number
}

/** An exception that an actor threw. */
export interface Crash {
  readonly path: string
  readonly error: unknown
  /** The type of the message in hand; undefined when there was none. */
  readonly messageType: string | undefined
}

/** What an actor system needs from outside. */
export interface SystemOptions {
  /** Called once with every exception that an actor throws; for logs. */
  readonly crashed?: (crash: Crash) => void
  /** Where time comes from. Default the clock of the process. */
  readonly clock?: Clock
  /** Gives numbers from 0 to 1, for the jitter of restarts. Default `Math.random`. */
  readonly random?: () => number
  /** Where actors with the option `persist` save their state, unless they say otherwise. Default nowhere. */
  readonly store?: KeyValue
}

/**
 * One tree of actors with its run queue, timers, dead letters and counters.
 *
 * The root supervises and takes no messages of its own.
 */
export class ActorSystem {
  readonly queue = new RunQueue()
  readonly counters: SystemCounters = { actors: 0, crashes: 0, deadLetters: 0 }
  readonly clock: Clock
  readonly random: () => number
  readonly timers: TimerWheel
  readonly store: KeyValue | undefined
  readonly deadLetters: DeadLetters
  readonly root: ActorRef<never>
  /** @internal What XState gave the root to stop its children by; set by the root when it starts. */
  scope!: KitScope
  /** @internal */
  readonly registry: Registry
  /** @internal Hears of crashes and restarts of all actors, and of the end of some; for inspection. */
  observer: WatchListener | undefined
  /** @internal Saves of states that are under way. */
  readonly saves = new Set<Promise<unknown>>()
  readonly #options: SystemOptions

  constructor(options: SystemOptions = {}) {
    this.#options = options
    this.clock = options.clock ?? systemClock
    this.random = options.random ?? Math.random
    this.store = options.store
    this.timers = new TimerWheel(this.clock)
    const failed = (error: unknown): void => this.crashed('/', error, undefined)
    this.deadLetters = new DeadLetters(failed)
    this.root = ActorRef.root(this)
    this.registry = new Registry(this.root, failed)
  }

  /** Starts an actor below the root; see `ActorRef.spawn`. */
  get spawn(): ActorRef<never>['spawn'] {
    return this.root.spawn.bind(this.root) as ActorRef<never>['spawn']
  }

  /** The living actor at an address, such as `/services/chat`; undefined when there is none. */
  find<Message extends object = never>(path: string): ActorRef<Message> | undefined {
    return this.registry.find(path) as unknown as ActorRef<Message> | undefined
  }

  /**
   * Tells of actors at and below an address that appear and disappear, first of those that are there.
   *
   * @returns what ends it
   */
  subscribe(path: string, listener: (event: RegistryEvent) => void): () => void {
    return this.registry.subscribe(path, listener)
  }

  /** Calls back when an actor crashes, restarts and stops; returns what ends it. */
  watch(target: { readonly path: string; readonly live: boolean }, listener: WatchListener): () => void {
    return this.root.watch(target, listener)
  }

  /** Stops every actor, children before parents. */
  stop(): void {
    this.root.stop()
  }

  /** Resolves once no saving of a state is under way; after `stop`, when the last ones are done. */
  async saved(): Promise<void> {
    while (this.saves.size > 0) await Promise.all(this.saves)
  }

  /** @internal The address of the actor whose handler is running. */
  get teller(): string | undefined {
    return this.queue.current instanceof ActorRef ? this.queue.current.path : undefined
  }

  /** @internal Tells the observer, whose failures are its own. */
  observe(event: WatchEvent): void {
    try {
      this.observer?.(event)
    } catch {
      // Counting it as a crash would tell the observer again.
    }
  }

  /** @internal Counts a crash and reports it. */
  crashed(path: string, error: unknown, message: object | undefined): void {
    this.counters.crashes++
    try {
      this.#options.crashed?.({
        path,
        error,
        messageType: message === undefined ? undefined : messageType(message),
      })
    } catch {
      // It is the log that failed: there is nobody left to tell.
    }
  }

  /** @internal Counts a dead letter and reports it. */
  deadLetter(to: string, message: object, reason: DeadLetterReason, told: boolean): void {
    this.counters.deadLetters++
    const from = told ? this.teller : undefined
    this.deadLetters.add({ to, from, type: messageType(message), reason }, message)
  }
}
