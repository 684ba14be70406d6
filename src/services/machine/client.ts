import type { ServiceClient } from '../service.js'
import { type MachineEvent, type Receive, type RemoteActor, remoteActor } from './remote-actor.js'

export type { MachineEvent, RemoteActor } from './remote-actor.js'

/** The client of a machine service. */
export interface MachineClient<Event = MachineEvent, View = unknown> {
  /** The actor of a key: the same object for the same key. Asks the server nothing yet. */
  get(key: string): RemoteActor<Event, View>
}

/**
 * The client half of machine services, for browsers and Node.
 *
 * @example
 * const client = createClient<typeof app>({ url, services: { order: machineClient } })
 * await client.connect()
 * const order = client.api.order.get('42')
 */
export const machineClient = {
  client<Event = MachineEvent, View = unknown>(service: ServiceClient): MachineClient<Event, View> {
    const actors = new Map<string, { readonly actor: RemoteActor; readonly receive: Receive }>()
    service.onmessage = message => {
      if (!Array.isArray(message)) return
      const [key, from, to, data, done] = message
      actors.get(key)?.receive(from, to, data, done === true)
    }
    return {
      get(key) {
        let entry = actors.get(key)
        if (entry === undefined) {
          entry = remoteActor(service, key)
          actors.set(key, entry)
        }
        return entry.actor as unknown as RemoteActor<Event, View>
      },
    }
  },
}
