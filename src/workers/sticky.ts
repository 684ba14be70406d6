import cluster from 'node:cluster'
import { SocketStreamError } from '../errors.js'
import type { Transport } from '../transports/transport.js'

/**
 * Refuses transports that keep a client in one process, where any of several may get its next request.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function refuseSticky(transports: readonly Transport[]): void {
  if (!cluster.isWorker) return
  const sticky = transports.find(({ capabilities }) => capabilities.sticky === true)
  if (sticky === undefined) return
  throw new SocketStreamError(
    'INVALID_OPTION',
    `\`transport\`: ${sticky.name} needs each request of a client in the same process, and workers share a port; ` +
      'give ws() or sse(), engineio() with WebSockets only, or run one process for each port behind a proxy',
  )
}
