import type { ActorRef } from './actor-ref.js'

/**
 * What an actor does with its messages: plain functions over a private state.
 *
 * `receive` handles one message at a time and returns before the next one is taken. It must not
 * return a promise: work that waits tells the actor its outcome in a later message.
 */
export interface Behaviour<Message extends object, State = undefined> {
  /** Makes the state, when the actor starts. */
  initial?(self: ActorRef<Message>): State
  /** Handles one message. What it throws is logged and counted; the actor goes on. */
  receive(state: State, message: Message, self: ActorRef<Message>): void
  /** Called with a message that found the mailbox full. It has become a dead letter. */
  overflowed?(state: State, message: Message, self: ActorRef<Message>): void
  /** Called once when the actor has stopped, after its children. */
  stopped?(state: State, self: ActorRef<Message>): void
}

/** Options of one actor. */
export interface SpawnOptions {
  /** Messages that may wait, the one in hand not counted. Default 10,000. */
  readonly capacity?: number
}

/** Messages that may wait in a mailbox unless said otherwise. */
export const DEFAULT_CAPACITY = 10_000
