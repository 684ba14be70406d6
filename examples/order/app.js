// @ts-check
/**
 * Orders as keyed machines: each is an actor on the server, followed by any number of clients.
 *
 * What a client has been told is on the disk: the orders outlive a crash of the server.
 */
import { Server } from 'socketstream-server'
import { lmdb } from 'socketstream-server/engines/lmdb'
import { machine } from 'socketstream-server/services/machine'
import { ws } from 'socketstream-server/transports/ws'
import { orderMachine } from './machine.js'

/** @typedef {ReturnType<typeof createApp>['app']} OrderApp the server's type, from which clients are typed */

/**
 * Makes the server; `start()` it. Close the engine when it has stopped.
 *
 * @param {{ port: number, path: string, shipping: number }} options `path` is the folder of the orders
 */
export function createApp({ port, path, shipping }) {
  const engine = lmdb({ path })
  const app = new Server({ transport: ws({ port }), engine }).service(
    'order',
    machine(orderMachine(shipping), {
      events: ['add', 'place', 'pay', 'cancel'],
      // Whoever knows the key may see and change the order, as with a secret link: so it must not be guessed.
      key: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      authorize: () => true,
      persist: true,
      project: ({ status, value, context }) => ({ status, value, items: context.items }),
    }),
  )
  return { app, engine }
}
