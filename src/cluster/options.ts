import { type Duration, milliseconds } from '../duration.js'
import { SocketStreamError } from '../errors.js'

/** How a server is one of a cluster. */
export interface ClusterOptions {
  /** What this server is called in lists, such as its host; for people. Default the host's name. */
  readonly name?: string
  /** How long a server that has died is taken for alive; at least 1 s. Default 10 s. */
  readonly lease?: Duration
  /** How long the others have to answer, unless a call says otherwise. Default 2 s. */
  readonly deadline?: Duration
}

/** The same, with nothing left open. */
export interface ClusterSettings {
  readonly name: string | undefined
  /** Milliseconds. */
  readonly lease: number
  readonly deadline: number
}

const NAMES = ['name', 'lease', 'deadline']

/** Checks the option `cluster`; undefined for false. @throws SocketStreamError `INVALID_OPTION` */
export function clusterSettings(given: false | ClusterOptions | undefined): ClusterSettings | undefined {
  if (given === false) return undefined
  if (given !== undefined && (typeof given !== 'object' || given === null)) {
    throw invalid('`cluster` must be false or options', "cluster: { lease: '10s' }")
  }
  const { name, lease = 10_000, deadline = 2000 } = given ?? {}
  for (const key of Object.keys(given ?? {})) {
    if (!NAMES.includes(key))
      throw invalid(`there is no option \`cluster.${key}\``, `one of ${NAMES.join(', ')}`)
  }
  if (name !== undefined && (typeof name !== 'string' || name === '' || name.length > 100)) {
    throw invalid('`cluster.name` must be a text of 1 to 100 characters', "cluster: { name: 'eu-1' }")
  }
  const settings = {
    name,
    lease: milliseconds(lease, 'cluster.lease'),
    deadline: milliseconds(deadline, 'cluster.deadline'),
  }
  if (settings.lease < 1000)
    throw invalid('`cluster.lease` must be at least a second', "cluster: { lease: '10s' }")
  if (settings.deadline < 1)
    throw invalid('`cluster.deadline` must be above 0', "cluster: { deadline: '2s' }")
  return settings
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
