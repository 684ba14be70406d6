import type { ActorLogic, ActorScope, Snapshot } from 'xstate'

/**
 * The XState logic of every actor of the kit: one object for all.
 *
 * The ref rides in the snapshot, and a message returns the same snapshot: XState then does no more
 * than deliver (5 to 10 million a second; a new snapshot each time would make it 1 million).
 */

/** What the logic needs of a ref. */
export interface Host {
  started(scope: KitScope): void
  handle(message: object): void
  ended(): void
}

/** The snapshot of a kit actor. */
export type KitSnapshot = Snapshot<undefined> & { readonly host: Host }

/** An event as XState wants it; the kit's messages need no `type`. */
export interface KitEvent {
  readonly type: string
}

/** XState's scope of a kit actor. */
export type KitScope = ActorScope<KitSnapshot, KitEvent>

export const kitLogic: ActorLogic<KitSnapshot, KitEvent, Host> = {
  getInitialSnapshot(scope, host) {
    host.started(scope)
    return { status: 'active', output: undefined, error: undefined, host }
  },
  transition(snapshot, event) {
    if (event.type === 'xstate.stop') {
      snapshot.host.ended()
      return { ...snapshot, status: 'stopped', error: undefined, output: undefined }
    }
    snapshot.host.handle(event)
    return snapshot
  },
  getPersistedSnapshot(snapshot) {
    return snapshot
  },
}
