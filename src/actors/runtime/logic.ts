import type { ActorLogic, ActorScope, Snapshot } from 'xstate'

/**
 * The XState logic of every actor of the kit: one object for all.
 *
 * The ref is the snapshot, and a message returns the same one: XState then does no more than deliver (5 to 10
 * million a second; a new snapshot each time would make it 1 million).
 */

/** What the logic needs of a ref. */
export interface Host {
  /** As XState wants it of the snapshot of an actor that runs. */
  readonly status: 'active'
  started(scope: KitScope): void
  handle(message: object): void
  ended(): void
}

/** The snapshot of a kit actor. */
export type KitSnapshot = Snapshot<undefined> & Host

/** An event as XState wants it; the kit's messages need no `type`. */
export interface KitEvent {
  readonly type: string
}

/** XState's scope of a kit actor. */
export type KitScope = ActorScope<KitSnapshot, KitEvent>

/** The snapshot of an actor that has stopped. */
const STOPPED = { status: 'stopped', output: undefined, error: undefined } as unknown as KitSnapshot

export const kitLogic: ActorLogic<KitSnapshot, KitEvent, Host> = {
  getInitialSnapshot(scope, host) {
    host.started(scope)
    return host as KitSnapshot
  },
  transition(snapshot, event) {
    if (event.type === 'xstate.stop') {
      snapshot.ended()
      return STOPPED
    }
    snapshot.handle(event)
    return snapshot
  },
  getPersistedSnapshot(snapshot) {
    return snapshot
  },
}
