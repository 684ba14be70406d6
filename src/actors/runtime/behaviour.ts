import type { ActorRef } from './actor-ref.js'
import type { PersistOptions } from './persistence.js'
import type { OnCrash, RestartOptions } from './supervision.js'

/**
 * What an actor does with its messages: plain functions over a private state.
 *
 * `receive` handles one message at a time. When it returns a promise the next message waits for it,
 * unless the option `concurrency` allows more at once.
 */
export interface Behaviour<Message extends object, State = undefined> {
  /** Makes the state, when the actor starts and at every restart. What it tells itself comes after. */
  initial?(self: ActorRef<Message>): State
  /** Handles one message. What it throws or rejects with is a crash; see `onCrash`. */
  receive(state: State, message: Message, self: ActorRef<Message>): unknown
  /** Called with a message that found the mailbox full, in the turn of its sender. */
  overflowed?(state: State, message: Message, self: ActorRef<Message>): void
  /** Called once for every state, when the actor has stopped or is to restart, after its children. */
  stopped?(state: State, self: ActorRef<Message>): void
  /** What `ref.getSnapshot()` shows of the state; also the last thing it shows. */
  snapshot?(state: State): unknown
  /** With the option `persist`: what is saved of the state; anything that a structured clone can carry. */
  save?(state: State): unknown
  /** With the option `persist`: makes the state from what was saved. */
  restore?(saved: unknown, self: ActorRef<Message>): State
  /** Another value whenever the state has changed. Without it every message is taken for a change. */
  revision?(state: State): unknown
}

/**
 * What happens to a message for which there is no room.
 *
 * - `reject`: it becomes a dead letter, `tell` returns false, an `ask` fails with `MAILBOX_FULL`.
 * - `drop-oldest`: the oldest waiting messages become dead letters until it fits.
 * - `latest-by-key`: it takes the place of a waiting message with the same `key`, also when there is
 *   room; without one, as `reject`.
 * - `backpressure`: `tell` returns false and the sender keeps it; `ready()` resolves when there is room.
 */
export type Overflow = 'reject' | 'drop-oldest' | 'latest-by-key' | 'backpressure'

/** Options of one actor. */
export interface SpawnOptions<Message extends object = never> {
  /** Messages that may wait, the one in hand not counted. Default 10,000. */
  readonly capacity?: number
  /** Bytes that may wait; an empty mailbox takes one message of any size. Needs `size`. Default none. */
  readonly bytes?: number
  /** Bytes of a message. */
  size?(message: Message): number
  /** What happens when there is no room. Default `reject`. */
  readonly overflow?: Overflow
  /** What messages are about, for `latest-by-key`. */
  key?(message: Message): unknown
  /** Messages handled at once, when `receive` returns promises. Default 1. */
  readonly concurrency?: number
  /**
   * What a crash leads to. Default `resume`; of a machine or other XState logic `restart`; with `persist`
   * `restart-from-snapshot`.
   */
  readonly onCrash?: OnCrash
  /** How `onCrash: 'restart'` goes about it. */
  readonly restart?: RestartOptions
  /** Saves the state, and begins with the saved one. Default: the state ends with the actor. */
  readonly persist?: PersistOptions
}

/** Messages that may wait in a mailbox unless said otherwise. */
export const DEFAULT_CAPACITY = 10_000
