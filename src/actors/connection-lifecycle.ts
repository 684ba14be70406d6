import { SocketStreamError } from '../errors.js'
import { flatten, setup } from './runtime/flat-machine.js'

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

/** What may be said of one state. */
type Steps = { on: Partial<Record<ConnectionEvent, ConnectionState>> } | { type: 'final' }

/** The life of a connection, as an XState machine; docs/delivery.md has it as a diagram. */
export const lifecycle = setup({ types: { events: {} as { readonly type: ConnectionEvent } } }).createMachine(
  {
    id: 'connection',
    initial: 'connecting',
    states: {
      connecting: { on: { hello: 'authenticating', handOver: 'closed', close: 'closed' } },
      authenticating: { on: { welcome: 'open', close: 'closed' } },
      open: { on: { lose: 'detached', takeOver: 'open', goAway: 'draining', close: 'closed' } },
      detached: { on: { takeOver: 'open', depart: 'left', close: 'closed' } },
      draining: { on: { goAway: 'draining', lose: 'detached', close: 'closed' } },
      left: { on: { close: 'closed' } },
      closed: { type: 'final' },
    } satisfies Record<ConnectionState, Steps>,
  },
)

/** What the machine does, flattened once, because every message looks at the state and none may cost a snapshot. */
const { first, steps } = flatten<ConnectionState, ConnectionEvent>(lifecycle)

/** The state that a connection begins in. */
export const FIRST_STATE: ConnectionState = first

/**
 * The state after an event.
 *
 * @throws SocketStreamError `INVALID_STATE` for a step that the machine does not take
 */
export function step(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  const next = steps[state][event]
  if (next === undefined) throw new SocketStreamError('INVALID_STATE', `no ${event} of what is ${state}`)
  return next
}

/** The machine as a Mermaid diagram, as the docs have it. */
export function lifecycleDiagram(): string {
  const lines = Object.entries(steps).flatMap(([state, taken]) =>
    Object.entries(taken).map(([event, next]) => `  ${state} --> ${next}: ${event}`),
  )
  const ends = Object.entries(lifecycle.states).filter(([, { type }]) => type === 'final')
  return [
    'stateDiagram-v2',
    `  [*] --> ${first}`,
    ...lines,
    ...ends.map(([state]) => `  ${state} --> [*]`),
  ].join('\n')
}
