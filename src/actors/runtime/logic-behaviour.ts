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
import type { TimerWheel } from './timer-wheel.js'

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
): Behaviour<EventObject, State> {
  const { timers, clock } = system
  return {
    initial: self => begin(self, undefined),
    receive(state, message) {
      state.receiving = true
      state.actor.send(message)
      state.receiving = false
      if (state.failed) throw errorOf(state.actor)
    },
    stopped: end,
    snapshot: state => state.actor.getSnapshot(),
    revision: state => state.actor.getSnapshot(),
    save: ({ actor, deadlines }) => ({
      ...(actor.getPersistedSnapshot() as object),
      deadlines: deadlines.collect(actor),
    }),
    restore: (saved, self) => begin(self, saved as SavedLogic),
  }

  function begin(self: ActorRef<EventObject>, saved: SavedLogic | undefined): State {
    const { deadlines: due = [], ...snapshot } = saved ?? {}
    let scope: Scope | undefined
    const actor = createActor(
      guarded(logic, given => {
        scope = given
      }),
      {
        input,
        clock: wheelClock(timers),
        ...(saved !== undefined && { snapshot: snapshot as unknown as Snapshot<unknown> }),
      },
    )
    const deadlines = new Deadlines(() => clock.date?.() ?? Date.now())
    const state: State = { actor, deadlines, scope, receiving: true, failed: false, forget }
    const { unsubscribe } = actor.subscribe({
      next() {
        if (!state.receiving) self.changed()
      },
      error(error) {
        state.failed = true
        if (state.receiving) return
        self.urge(() => {
          throw error
        })
      },
      complete() {
        if (!state.receiving) self.changed()
        self.urge(() => self.stop())
      },
    })
    state.forget = unsubscribe
    actor.start()
    state.scope = scope
    if (state.failed) {
      end(state)
      throw errorOf(actor)
    }
    if (actor.getSnapshot().status === 'done') self.urge(() => self.stop())
    else deadlines.arm(actor, due)
    state.receiving = false
    return state
  }
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
function guarded(logic: AnyActorLogic, keep: (scope: Scope) => void): AnyActorLogic {
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
      if (event.type !== 'xstate.stop') return logic.transition(snapshot, event, scope)
      const next = reducer ? snapshot : logic.transition(snapshot, event, scope)
      return next.status === 'active' ? { ...next, status: 'stopped' } : next
    },
  }
  return Object.assign(Object.create(logic) as AnyActorLogic, guard)
}

function wheelClock(timers: TimerWheel) {
  return {
    setTimeout: (callback: (...args: unknown[]) => void, ms: number) => timers.set(ms, () => callback()),
    clearTimeout: (cancel: unknown) => {
      if (typeof cancel === 'function') cancel()
    },
  }
}
