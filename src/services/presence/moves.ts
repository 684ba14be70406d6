import type { ServiceServer } from '../service.js'
import type { Stays } from './stays.js'

/** A connection in a channel, on its way to another server. */
export type Staying = readonly [
  channel: string,
  user: string,
  device: string,
  revision: number,
  node: string,
  meta: unknown,
]

/** What another server needs of a connection: its channels, and the runs of what it watches. */
export async function movedOf(id: string, stays: Stays, runs: readonly number[]): Promise<unknown[]> {
  return [await stays.of(id), runs]
}

/**
 * Takes over what `movedOf` gave at another server; gives the channels.
 *
 * The client stays in them without a word. What it watches it asks for again: versions are those of one server.
 */
export function arrived(
  server: Pick<ServiceServer, 'send'>,
  id: string,
  state: unknown,
  stays: Stays,
): string[] {
  const [given, runs] = Array.isArray(state) ? (state as unknown[]) : []
  // Of another release: its client begins anew.
  if (!Array.isArray(given) || !Array.isArray(runs) || !given.every(isStaying)) {
    server.send(id, [0])
    return []
  }
  // Before anything of a view of this server, which may have the same number.
  for (const run of runs) server.send(id, [run])
  stays.arrived(id, given)
  return given.map(([channel]) => channel)
}

function isStaying(given: unknown): given is Staying {
  if (!Array.isArray(given)) return false
  const [channel, user, device, revision, node] = given as unknown[]
  const isNamed = [channel, user, device, node].every(name => typeof name === 'string')
  return isNamed && Number.isSafeInteger(revision)
}
