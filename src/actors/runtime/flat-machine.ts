import type { AnyStateMachine } from 'xstate'

export { setup } from 'xstate'

/** The state after each event that a state takes, by state and event. */
export type Steps<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>

/**
 * What a machine does, as a table to look up.
 *
 * For machines of plain states, without guards, actions, delays or states within states: of those the transitions
 * that the machine has resolved say all, and no snapshot has to be made. Events that a state ignores are not in the
 * table.
 *
 * @returns the first state, and the steps in the order in which the machine names its states and their events
 */
export function flatten<State extends string, Event extends string>(
  machine: AnyStateMachine,
): { readonly first: State; readonly steps: Steps<State, Event> } {
  const steps = Object.entries(machine.states).map(([state, { on }]) => {
    const taken = Object.entries(on).map(([event, [transition]]) => [event, transition?.target?.[0]?.key])
    return [state, Object.fromEntries(taken)]
  })
  return { first: machine.root.initial.target[0]?.key as State, steps: Object.fromEntries(steps) }
}
