import { Actor, type AnyActorLogic } from 'xstate'
import type { KitScope } from './logic.js'

/** What XState keeps for each actor, and an actor of the kit has no use for. */
interface Kept {
  options: object
  observers: ReadonlySet<unknown>
  eventListeners: ReadonlyMap<unknown, unknown>
  _deferred: readonly unknown[]
  _actorScope: KitScope
  send: unknown
}

// Nothing is ever added to these: nobody but the kit has its XState actors, and it subscribes to none.
const NO_OPTIONS: object = {}
const NO_OBSERVERS: ReadonlySet<unknown> = new Set()
const NO_LISTENERS: ReadonlyMap<unknown, unknown> = new Map()
const NOTHING_DEFERRED: readonly unknown[] = []

/**
 * Has a started actor share what it never uses with all others, and its scope with the root.
 *
 * The kit's logic defers, emits and executes nothing, so that of a scope only the root's is asked for anything.
 * Fields that XState calls otherwise some day stay as they are.
 */
export function slim(actor: Actor<AnyActorLogic>, scope: KitScope): void {
  const kept = actor as unknown as Kept
  kept.options = NO_OPTIONS
  if (kept.observers?.size === 0) kept.observers = NO_OBSERVERS
  if (kept.eventListeners?.size === 0) kept.eventListeners = NO_LISTENERS
  if (kept._deferred?.length === 0) kept._deferred = NOTHING_DEFERRED
  if (kept._actorScope !== undefined) kept._actorScope = scope
  // Bound for each, in case that it is taken off; it is not.
  kept.send = Actor.prototype.send
}
