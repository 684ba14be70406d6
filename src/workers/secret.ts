import cluster from 'node:cluster'

/** The variable by which the first process gives its workers one secret for sessions. */
const VARIABLE = 'SOCKETSTREAM_WORKERS_SECRET'

/** What a worker is given so that it has this secret, where its server is not given another one. */
export function withSecret(secret: string): Readonly<Record<string, string>> {
  return { [VARIABLE]: secret }
}

/** The secret that this worker shares with the others; undefined in a process that is none. */
export function workersSecret(): string | undefined {
  return (cluster.isWorker && process.env[VARIABLE]) || undefined
}
