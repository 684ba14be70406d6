import type { BrokerConnection } from './connection.js'
import type { Outgoing } from './outgoing.js'

/** What waits until a connection has drained. */
export interface Waiter {
  /** What to send next; undefined when it waits no more. */
  next(connection: BrokerConnection): readonly Outgoing[] | undefined
  /** The connection has closed for good. */
  closed(connection: BrokerConnection): void
}

/** Resolves to true when a connection may be sent to, to false when it has closed. */
export function drained(connection: BrokerConnection): Promise<boolean> {
  if (!connection.open) return Promise.resolve(false)
  if (!connection.isFull(0)) return Promise.resolve(true)
  return new Promise(resolve => {
    connection.wait({
      next() {
        resolve(true)
        return undefined
      },
      closed: () => resolve(false),
    })
  })
}
