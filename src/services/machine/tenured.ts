import type { AnyActorLogic } from '../../actors/runtime/index.js'
import type { Tenure } from './entry.js'

/**
 * Logic that does nothing once the lease of its actor is over: it fails then, before any action has run.
 *
 * A process can be paused for longer than a lease lasts, and delayed transitions are due at once when it goes on.
 */
export function tenured(logic: AnyActorLogic, { check }: Tenure): AnyActorLogic {
  const guard: Pick<AnyActorLogic, 'getInitialSnapshot' | 'transition' | 'restoreSnapshot'> = {
    getInitialSnapshot(scope, input) {
      check()
      return logic.getInitialSnapshot(scope, input)
    },
    ...(logic.restoreSnapshot !== undefined && {
      restoreSnapshot(snapshot, scope) {
        check()
        return logic.restoreSnapshot!(snapshot, scope)
      },
    }),
    transition(snapshot, event, scope) {
      if (event.type !== 'xstate.stop') check()
      return logic.transition(snapshot, event, scope)
    },
  }
  return Object.assign(Object.create(logic) as AnyActorLogic, guard)
}
