/** The sides of `models`: a server with some records, and connections that watch them. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Server } from 'socketstream-server'
import { createClient } from 'socketstream-server/client'
import { memoryStorage, model } from 'socketstream-server/services/model'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'

setFlagsFromString('--expose-gc')
const collect = /** @type {() => void} */ (runInNewContext('gc'))

/** @typedef {import('socketstream-server').ServiceClient} ServiceClient */
/** @typedef {{ id: string, text: string, count: number }} Item */

/** What a publication of the control carries: the same as an update's patch. @param {number} count */
const PATCH = count => [3, '0', count, count + 1, [{ op: 'replace', path: '/count', value: count }]]

/**
 * How many records there are, and what each connection watches: one of them by its id, or one of so many queries.
 *
 * @typedef {{ connections: number, records: number, queries: number, viewer: boolean, moves?: boolean,
 *   control?: 'topic' | 'broadcast' }} Size
 */

/**
 * Starts a server and its connections; `update` resolves when all have got it.
 *
 * @param {Size} size
 */
export async function startSide({ connections, records, queries, viewer, moves = false, control }) {
  const transport = memory()
  const app = new Server({ transport, env: 'production' })
    .service(
      'items',
      model({
        .../** @type {import('socketstream-server/services/model').ModelStorage<Item>} */ (memoryStorage()),
        authorize: () => true,
        ...(viewer && { viewer: () => 'everybody' }),
        queries: {
          by: { filter: (_item, /** @type {number} */ by) => by >= 0, compare: (a, b) => a.count - b.count },
        },
      }),
    )
    .service('control', {
      use: { json: true, callbacks: true },
      /** @param {import('socketstream-server').ServiceServer} server */
      server(server) {
        server.onsubscribe = () => undefined
        return {
          topic: (/** @type {unknown} */ value) => server.topic('t').publish(value),
          broadcast: (/** @type {unknown} */ value) => server.broadcast(value),
        }
      },
    })
  await app.start()
  const { items, control: publish } = app.api
  for (let i = 0; i < records; i++)
    await items.create({ id: String(i), text: `item ${i} of so many`, count: i })

  let deliveries = 0
  let bytes = 0
  let expected = 0
  /** @type {(() => void) | undefined} */
  let done
  const heard = () => {
    if (++deliveries === expected) done?.()
  }
  const counting = memoryClient({
    connect: async options => {
      const link = await transport.connect(options)
      const { listen } = link
      link.listen = handler => {
        listen.call(link, {
          ...handler,
          frame(frame) {
            bytes += frame.length
            handler.frame?.(frame)
          },
        })
      }
      return link
    },
  })
  const half = { client: (/** @type {ServiceClient} */ service) => service }
  const clients = Array.from({ length: connections }, () => {
    return createClient({
      url: 'memory:',
      transport: counting,
      reconnect: false,
      services: { items: half, control: half },
    })
  })
  await Promise.all(clients.map(client => client.connect()))
  const services = clients.map(client => /** @type {Record<string, ServiceClient>} */ (client.api))
  // Made before the heap is looked at, as they are there for all sides.
  for (const api of services) api.items.onmessage = heard
  for (const api of services) api.control.onmessage = heard
  const before = heap()
  for (const [index, api] of services.entries()) {
    if (control === 'topic') await api.control.subscribe('t', heard)
    else if (control === 'broadcast') continue
    else if (queries === 0) await api.items.call(['get', '0'])
    else await api.items.call(['watch', 1, 'by', index % queries, 0, 100])
  }
  const heapPerWatch = (heap() - before) / connections
  let count = records
  return {
    heapPerWatch,
    get bytes() {
      return bytes
    },
    /** One change, seen by all. @returns {Promise<void>} */
    update() {
      deliveries = 0
      // What moves is sent as its new place, and as what has changed.
      expected = moves ? connections * 2 : connections
      count++
      return new Promise((resolve, reject) => {
        done = resolve
        if (control) publish[control](PATCH(count))
        else items.update('0', { count: moves ? (count % 2) * 50.5 - 1 : -count }).catch(reject)
      })
    },
    async stop() {
      for (const client of clients) client.close()
      await app.stop({ drain: 1000 })
    },
  }
}

function heap() {
  collect()
  return process.memoryUsage().heapUsed
}
