import cluster from 'node:cluster'
import type { WorkerProcess } from './worker.js'

/** Starts a program as a worker of node's cluster module: its ports are those of the others, too. */
export function forkWorker(file: string, args: readonly string[], env: NodeJS.ProcessEnv): WorkerProcess {
  cluster.setupPrimary({ exec: file, args: [...args] })
  const worker = cluster.fork(env)
  const { process: child } = worker
  return {
    pid: child.pid ?? 0,
    listening: new Promise(resolve => worker.once('listening', () => resolve())),
    ended: new Promise(resolve => {
      worker.once('exit', (code, signal) => resolve({ code, signal: signal || null }))
      // One that could not be started has no exit.
      worker.once('error', () => child.pid === undefined && resolve({ code: null, signal: null }))
    }),
    kill: signal => void child.kill(signal),
  }
}
