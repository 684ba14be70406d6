import {
  type Actor,
  type ActorScope,
  type AnyActorLogic,
  createActor,
  type EventObject,
  type Snapshot,
} from 'xstate'
import type { ActorRef } from './actor-ref.js'
import type { Behaviour } from './behaviour.js'
import { type Deadline, Deadlines } from './deadlines.js'
import type { ActorSystem } from './system.js'

type Scope = ActorScope<Snapshot<unknown>, EventObject>

/** A persisted snapshot, with what XState leaves out of it. */
interface SavedLogic {
  readonly deadlines?: readonly Deadline[]
}

interface State {
  readonly actor: Actor<AnyActorLogic>
  readonly deadlines: Deadlines
  scope: Scope | undefined
  /** Whether a message is in hand: what fails then has failed because of it. */
  receiving: boolean
  /** Whether a transition runs, or is told of. */
  inside: boolean
  failed: boolean
  forget(): void
}

/**
 * Runs an XState machine, or any other actor logic, as the behaviour of a kit actor.
 *
 * Each has an XState system of its own, because a stop looks at all timers of its system. Delayed
 * transitions are on the timer wheel. Failing is a crash of the kit actor, being done its stop.
 */
export function logicBehaviour(
  logic: AnyActorLogic,
  input: unknown,
  system: ActorSystem,
): Behaviour<EventObject, State> & { readonly logic: true } {
  const { timers, clock } = system
  return {
    logic: true,
    initial: self => begin(self, undefined),
    receive(state, message) {
      if (!state.inside) return turn(state, () => state.actor.send(message))
      // Told by a transition that no message has caused: XState would only keep it until that is over.
      return Promise.resolve().then(() => turn(state, () => state.actor.send(message)))
    },
    stopped: end,
    snapshot: state => state.actor.getSnapshot(),
    revision: state => state.actor.getSnapshot(),
    save({ actor, deadlines, failed }) {
      if (failed) throw errorOf(actor)
      return { ...(actor.getPersistedSnapshot() as object), deadlines: deadlines.collect(actor) }
    },
    restore: (saved, self) => begin(self, saved as SavedLogic),
  }

  function begin(self: ActorRef<EventObject>, saved: SavedLogic | undefined): State {
    const { deadlines: due = [], ...snapshot } = saved ?? {}
    let scope: Scope | undefined
    let state: State | undefined
    const actor = createActor(
      guarded(
        logic,
        given => {
          scope = given
        },
        () => {
          if (state !== undefined) state.inside = true
        },
      ),
      {
        input,
        clock: {
          setTimeout(callback: () => void, ms: number) {
            const cancel = timers.set(ms, () => self.spontaneous(() => turn(state!, callback)))
            // Now, as nobody knows later when it was set.
            state?.deadlines.note(state.actor.system)
            return cancel
          },
          clearTimeout(cancel: unknown) {
            if (typeof cancel === 'function') cancel()
          },
        },
        ...(saved !== undefined && { snapshot: snapshot as unknown as Snapshot<unknown> }),
      },
    )
    const deadlines = new Deadlines(() => clock.date?.() ?? Date.now())
    state = { actor, deadlines, scope, receiving: true, inside: false, failed: false, forget }
    const begun = state
    let starting = true
    const { unsubscribe } = actor.subscribe({
      next() {
        if (!begun.receiving) self.changed()
        begun.inside = false
      },
      error(error) {
        begun.failed = true
        begun.inside = false
        if (begun.receiving) return
        self.urge(() => {
          throw error
        })
      },
      complete() {
        if (!begun.receiving) self.changed()
        begun.inside = false
        if (!starting) self.urge(() => self.stop())
      },
    })
    begun.forget = unsubscribe
    actor.start()
    starting = false
    begun.scope = scope
    if (begun.failed) {
      end(begun)
      throw errorOf(actor)
    }
    if (actor.getSnapshot().status === 'done') {
      if (saved === undefined) self.changed()
      self.urge(() => self.stop())
    } else deadlines.arm(actor, due)
    begun.inside = false
    begun.receiving = false
    return begun
  }
}

/** Lets the logic do something because of a message in hand, or of a delay. */
function turn(state: State, action: () => void): void {
  state.receiving = true
  action()
  state.receiving = false
  if (state.failed) throw errorOf(state.actor)
}

function forget(): void {}

function end({ actor, scope, failed, forget }: State): void {
  forget()
  if (failed) {
    // XState leaves the children of what has failed running.
    const { children = {} } = actor.getSnapshot() as { children?: Record<string, Actor<AnyActorLogic>> }
    for (const child of Object.values(children)) scope?.stopChild(child)
  }
  actor.stop()
}

function errorOf(actor: Actor<AnyActorLogic>): unknown {
  return (actor.getSnapshot() as { error?: unknown }).error
}

/** The logic with a word on its scope, and with an end that is one. */
function guarded(logic: AnyActorLogic, keep: (scope: Scope) => void, enter: () => void): AnyActorLogic {
  // A reducer would be handed XState's own stop event.
  const reducer = typeof (logic as { config?: unknown }).config === 'function' && logic.start === undefined
  const guard: Pick<AnyActorLogic, 'getInitialSnapshot' | 'transition' | 'restoreSnapshot'> = {
    getInitialSnapshot(scope, input) {
      keep(scope)
      return logic.getInitialSnapshot(scope, input)
    },
    ...(logic.restoreSnapshot !== undefined && {
      restoreSnapshot(snapshot: Snapshot<unknown>, scope: Scope) {
        keep(scope)
        return logic.restoreSnapshot!(snapshot, scope)
      },
    }),
    transition(snapshot, event, scope) {
      if (event.type !== 'xstate.stop') {
        enter()
        return logic.transition(snapshot, event, scope)
      }
      const next = reducer ? snapshot : logic.transition(snapshot, event, scope)
      return next.status === 'active' ? { ...next, status: 'stopped' } : next
    },
  }
  return Object.assign(Object.create(logic) as AnyActorLogic, guard)
}
