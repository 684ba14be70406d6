import { type MovedConnection, type MovedFrames, packMoved } from '../cluster/handover.js'
import { pack } from '../codec/packed.js'
import { isThenable } from '../thenable.js'
import type { BrokerConnection } from './connection.js'
import { movedSelf } from './moved-state.js'

/** Milliseconds in which a service has to say what it needs; without it begins anew there. */
const SERVICES = 1000
/** Milliseconds in which a connection has to pack what it has. */
const PATIENCE = 2000

/** Whether a service would lose a topic's subscribers that go on elsewhere: it keeps what it cannot give. */
export function holdsTopics(connection: BrokerConnection): boolean {
  const { services } = connection.broker
  for (const { service } of connection.topics.values()) {
    const server = services.find(entry => entry?.name === service)?.server
    if (server?.onunsubscribe !== undefined && server.onmove === undefined) return true
  }
  return false
}

/**
 * Has a connection that is away leave this server for another one; resolves to its packed state.
 *
 * From when this is called nothing that is sent is for it any more. What is in its mailbox by then still is. Resolves to
 * undefined when it cannot be packed, or has ended meanwhile: then it is closed.
 *
 * @param limit bytes of frames
 */
export function depart(connection: BrokerConnection, limit: number): Promise<Uint8Array | undefined> {
  const self = movedSelf(connection)
  const given = askServices(connection)
  connection.depart()
  return given.then(services => packed(connection, { ...self, given: services }, limit))
}

function packed(
  connection: BrokerConnection,
  self: Omit<MovedConnection, keyof MovedFrames>,
  limit: number,
): Promise<Uint8Array | undefined> {
  return new Promise(resolve => {
    const patience = setTimeout(resolve, PATIENCE, undefined)
    const done = (bytes: Uint8Array | undefined): void => {
      clearTimeout(patience)
      resolve(bytes)
    }
    const take = (frames: MovedFrames | undefined): boolean => {
      const bytes = frames && packMoved({ ...self, ...frames }, limit)
      if (frames !== undefined && bytes === undefined) {
        connection.broker.log.debug('a connection has too much to go on elsewhere', { connection: self.id })
      }
      done(bytes)
      return bytes !== undefined
    }
    const services = new Set(Object.keys(self.given))
    const isTold = connection.ref.live && connection.ref.tell({ type: 'pack', packing: { services, take } })
    if (!isTold) done(undefined)
  })
}

/** Asks all at once, before anything else comes; who answers later is waited for. */
async function askServices(connection: BrokerConnection): Promise<Record<string, Uint8Array>> {
  const { log, services } = connection.broker
  const given: Record<string, Uint8Array> = {}
  const failed = (service: string, error: unknown): void =>
    log.debug('a service begins anew with a connection that goes on elsewhere', {
      service,
      connection: connection.id,
      error,
    })
  const add = (service: string, state: unknown): void => {
    try {
      if (state !== undefined) given[service] = pack(state)
    } catch (error) {
      failed(service, error)
    }
  }
  const waiting: Promise<void>[] = []
  for (const entry of services) {
    if (entry?.server.onmove === undefined) continue
    const { name, server } = entry
    try {
      const state = server.onmove?.(connection)
      if (!isThenable(state)) add(name, state)
      else {
        const asked = Promise.resolve(state)
        waiting.push(
          asked.then(
            late => add(name, late),
            error => failed(name, error),
          ),
        )
      }
    } catch (error) {
      failed(name, error)
    }
  }
  if (waiting.length === 0) return given
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>(resolve => {
    timer = setTimeout(resolve, SERVICES)
  })
  await Promise.race([Promise.all(waiting), over])
  clearTimeout(timer)
  return { ...given }
}
