import type { Connection } from '../service.js'
import type { MachineEvent } from './client.js'
import type { MachineContext } from './options.js'

/** What a client sees: the version of its view (0 if it does not view the key), the view, whether it is done. */
export type Look = readonly [version: number, view: unknown, done: boolean]

/** Whether somebody is still there. */
export type Wanted = Pick<Connection, 'open'>

/** The actors of a service, wherever they live; whoever asks has been allowed to. */
export interface Actors {
  /** Has a connection view a key from now on, if it is still wanted when the state is there. */
  view(key: string, ctx: MachineContext, wanted: Wanted): Promise<void>
  /** The same for one that has viewed it at another server: it is shown no state older than any that it was shown. */
  goOn(key: string, ctx: MachineContext, wanted: Wanted): Promise<void>
  /** A connection views a key no more. */
  leave(key: string, connectionId: string): void
  has(key: string, connectionId: string): boolean
  /** Gives what a client sees, in the same turn: what is pushed from then on comes after it. */
  look(key: string, ctx: MachineContext, take: (look: Look) => void): Promise<void>
  can(key: string, ctx: MachineContext, event: MachineEvent): Promise<boolean>
  /** Resolves when an event has been handled, and saved where states are saved. */
  send(key: string, ctx: MachineContext, event: MachineEvent): Promise<void>
  /** The server stops. */
  drain?(): Promise<void>
  stop?(): void
}

/** Milliseconds that an event has to be handled, and saved. */
export const TIMEOUT = 30_000

/** Of someone who stays: without the request, which would be kept as long. */
export function viewerOf(connection: Connection): MachineContext {
  return {
    connection,
    connectionId: connection.id,
    clientIp: connection.clientIp,
    user: connection.user,
    get session() {
      return connection.session
    },
  }
}
