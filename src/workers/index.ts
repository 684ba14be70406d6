import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../actors/runtime/timer-wheel.js'
import { type Duration, milliseconds } from '../duration.js'
import { SocketStreamError } from '../errors.js'
import { createLogger, type LogTarget } from '../log.js'
import { forkWorker } from './fork.js'
import { withSecret } from './secret.js'
import { Supervisor } from './supervisor.js'

/** Options of `workers`. */
export interface WorkersOptions {
  /** The program that each worker runs: one that starts a server with `handleSignals`. */
  readonly file: string | URL
  /** How many there are. Default one for each core. */
  readonly count?: number
  /** What the program is given. Default none. */
  readonly args?: readonly string[]
  /** Variables that the program gets besides those of this process. Default none. */
  readonly env?: Readonly<Record<string, string>>
  /** How long a worker has to end once it was asked to; then it is killed. Default 40 s: a drain, and some more. */
  readonly patience?: Duration
  /** `SIGTERM` and `SIGINT` stop, at once when repeated, and end the process; `SIGHUP` restarts. Default true. */
  readonly handleSignals?: boolean
  /** A function like `console.log`, or a logger with levels such as pino. Default: silent. */
  readonly log?: LogTarget
}

/** Several processes on one machine that serve the same ports. */
export interface Workers {
  /** Those that run, with whether they listen. */
  readonly workers: readonly { readonly pid: number; readonly listens: boolean }[]
  /**
   * Starts them; resolves when all listen.
   *
   * @throws SocketStreamError `WORKER_FAILED` when one ends before that, and none is left then; `INVALID_STATE`
   */
  start(): Promise<void>
  /**
   * Replaces each, one after the other: the new one listens before the old one gets `SIGTERM`.
   *
   * @throws SocketStreamError `WORKER_FAILED` when a new one does not come to listen: those not yet replaced go on;
   *   `INVALID_STATE`
   */
  restart(): Promise<void>
  /** Sends `SIGTERM` to all, and resolves when they have ended. Idempotent. */
  stop(): Promise<void>
}

/**
 * Runs a server in several processes on one machine, by node's cluster module.
 *
 * A worker that crashes is begun again: after 100 ms, then twice as long each time, up to 30 s. The servers must have one
 * engine that reaches beyond the process, or they know nothing of each other. Those that are given no `sessions.secret` share
 * one, until the first process ends. Transports that need later requests of a
 * client in the same process are refused there: `sockjs()`, and `engineio()` unless it takes WebSockets only.
 *
 * @throws SocketStreamError `INVALID_OPTION`; `INVALID_STATE` in a worker
 * @example
 * const group = workers({ file: new URL('./server.js', import.meta.url), count: 4 })
 * await group.start()
 */
export function workers(options: WorkersOptions): Workers {
  const { file, count, args, env, patience, handleSignals, log } = checkWorkers(options)
  if (cluster.isWorker) {
    throw new SocketStreamError(
      'INVALID_STATE',
      'workers() is for the first process; `file` must be another program',
    )
  }
  const secret = withSecret(randomBytes(32).toString('base64url'))
  const supervisor = new Supervisor({
    count,
    patience,
    clock: systemClock,
    log,
    fork: () => forkWorker(file, args, { ...secret, ...process.env, ...env }),
  })
  let isStopping = false
  const stop = (): void => {
    // Workers end with the first process.
    if (isStopping) process.exit(1)
    isStopping = true
    void supervisor.stop().then(() => process.exit(0))
  }
  const restart = (): void => {
    supervisor.restart().catch(() => undefined)
  }
  const signals = { SIGTERM: stop, SIGINT: stop, SIGHUP: restart } as const
  const release = (): void => {
    for (const [signal, listener] of Object.entries(signals)) process.off(signal, listener)
  }
  return {
    get workers() {
      return supervisor.workers
    },
    async start() {
      if (handleSignals)
        for (const [signal, listener] of Object.entries(signals)) process.on(signal, listener)
      try {
        await supervisor.start()
      } catch (error) {
        release()
        throw error
      }
    },
    restart: () => supervisor.restart(),
    stop: () => supervisor.stop().finally(release),
  }
}

function checkWorkers(options: WorkersOptions) {
  const { file, count = availableParallelism(), args = [], env = {}, handleSignals = true } = options ?? {}
  if (!(typeof file === 'string' && file !== '') && !(file instanceof URL && file.protocol === 'file:')) {
    throw invalid(
      '`file` must be the path or file URL of a program',
      "file: new URL('./server.js', import.meta.url)",
    )
  }
  if (!Number.isSafeInteger(count) || count < 1 || count > 1024) {
    throw invalid('`count` must be a whole number from 1 to 1024', 'count: 4')
  }
  if (!Array.isArray(args) || !args.every(argument => typeof argument === 'string')) {
    throw invalid('`args` must be a list of texts', "args: ['--verbose']")
  }
  if (env === null || typeof env !== 'object') {
    throw invalid('`env` must be an object', "env: { NODE_ENV: 'production' }")
  }
  if (typeof handleSignals !== 'boolean') {
    throw invalid('`handleSignals` must be true or false', 'handleSignals: false')
  }
  return {
    file: typeof file === 'string' ? file : fileURLToPath(file),
    count,
    args,
    env,
    handleSignals,
    patience: milliseconds(options.patience ?? '40s', 'patience'),
    log: createLogger(options.log, 'workers'),
  }
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `workers: ${what}; give ${fix}`)
}
