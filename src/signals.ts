import cluster from 'node:cluster'
import type { Logger } from './log.js'

/** Signals by which a process is asked to end. */
const SIGNALS = { SIGTERM: 15, SIGINT: 2 } as const

/**
 * Stops at `SIGTERM` and `SIGINT`, then ends the process.
 *
 * A second signal ends it at once, as the signal by itself would; in a worker of node's cluster module only the same signal
 * again: a terminal sends `SIGINT` to all its processes, and the first of them passes on a `SIGTERM`.
 *
 * @param stop what is done first
 * @param exit ends the process; undefined leaves that to the application
 * @returns a function that no longer listens
 */
export function handleSignals(
  stop: () => Promise<void>,
  log: Logger,
  exit: ((code: number) => void) | undefined,
): () => void {
  let first: keyof typeof SIGNALS | undefined
  const listener = (signal: keyof typeof SIGNALS): void => {
    if (first !== undefined && first !== signal && cluster.isWorker) return
    if (first !== undefined) return exit?.(128 + SIGNALS[signal])
    first = signal
    log.info(`${signal}: the server stops`)
    stop().then(
      () => exit?.(0),
      error => {
        log.error('the server did not stop', { error })
        exit?.(1)
      },
    )
  }
  for (const signal of Object.keys(SIGNALS)) process.on(signal, listener)
  return () => {
    for (const signal of Object.keys(SIGNALS)) process.off(signal, listener)
  }
}
