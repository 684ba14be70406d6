import { SocketStreamError } from '../errors.js'

/** How a process has ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

/** A process that serves. */
export interface WorkerProcess {
  readonly pid: number
  /** Resolves when it listens; never rejects. */
  readonly listening: Promise<void>
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<Ended>
  /** Asks it to end, or ends it. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** Resolves when a process listens. @throws SocketStreamError `WORKER_FAILED` when it has ended before */
export async function listens(worker: WorkerProcess): Promise<void> {
  const ended = await Promise.race([worker.listening, worker.ended])
  if (ended) {
    const text = `The worker ${worker.pid} ended (${how(ended)}) before it listened; its output says why`
    throw new SocketStreamError('WORKER_FAILED', text)
  }
}

/** The end of a process in words. */
export function how({ code, signal }: Ended): string {
  return signal === null ? `exit code ${code}` : signal
}
