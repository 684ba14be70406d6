import { SocketStreamError } from '../errors.js'

/**
 * What a connection is at: before its hello, until it has its session, in use, without a link but to be resumed,
 * told to go, on its way to another server, gone for good.
 */
export type ConnectionState =
  | 'connecting'
  | 'authenticating'
  | 'open'
  | 'detached'
  | 'draining'
  | 'left'
  | 'closed'

/**
 * What moves it on.
 *
 * - `hello`: the client has said who it is
 * - `welcome`: it has its session, and is told so
 * - `handOver`: it has come to resume another connection, which takes its link
 * - `lose`: the link is gone, and the client may come back; or it is left to another server
 * - `takeOver`: the client is back on another link
 * - `goAway`: the server stops, and has said so
 * - `depart`: another server goes on with it
 * - `close`: it is over for good, here at least
 */
export type ConnectionEvent =
  | 'hello'
  | 'welcome'
  | 'handOver'
  | 'lose'
  | 'takeOver'
  | 'goAway'
  | 'depart'
  | 'close'

/**
 * The legal steps of a connection, by state and event; docs/delivery.md has it as a diagram.
 *
 * A table and no machine, because every message looks at the state.
 */
export const LIFECYCLE = {
  connecting: { hello: 'authenticating', handOver: 'closed', close: 'closed' },
  authenticating: { welcome: 'open', close: 'closed' },
  open: { lose: 'detached', takeOver: 'open', goAway: 'draining', close: 'closed' },
  detached: { takeOver: 'open', depart: 'left', close: 'closed' },
  draining: { goAway: 'draining', lose: 'detached', close: 'closed' },
  left: { close: 'closed' },
  closed: {},
} as const satisfies Readonly<
  Record<ConnectionState, Readonly<Partial<Record<ConnectionEvent, ConnectionState>>>>
>

/**
 * The state after an event.
 *
 * @throws SocketStreamError `INVALID_STATE` for a step that is not in the table
 */
export function step(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  const next = (LIFECYCLE[state] as Readonly<Partial<Record<ConnectionEvent, ConnectionState>>>)[event]
  if (next === undefined) throw new SocketStreamError('INVALID_STATE', `no ${event} of what is ${state}`)
  return next
}

/** The table as a Mermaid diagram, as the docs have it. */
export function lifecycleDiagram(): string {
  const lines = Object.entries(LIFECYCLE).flatMap(([state, steps]) =>
    Object.entries(steps).map(([event, next]) => `  ${state} --> ${next}: ${event}`),
  )
  return ['stateDiagram-v2', '  [*] --> connecting', ...lines, '  closed --> [*]'].join('\n')
}
