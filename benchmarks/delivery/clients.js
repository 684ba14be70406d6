/**
 * The clients of the `delivery` benchmark, in a process of their own: real ones, that resume.
 *
 * Each message is an order; the answer tells how long it took and what came.
 */
import { createClient } from 'socketstream-server/client'

/** @typedef {{ api: any, status: string, close(): void, connect(): Promise<void>,
 *   on(event: 'status', listener: (status: string) => void): () => void }} AnyClient */

/** @type {{ client: AnyClient, last: number, came: number, wrong: number }[]} */
let clients = []

/** @param {{ port: number, connections: number }} order */
async function connect({ port, connections }) {
  for (const { client } of clients) client.close()
  clients = []
  for (let from = 0; from < connections; from += 100) {
    const batch = Array.from({ length: Math.min(100, connections - from) }, () => open(port))
    await Promise.all(batch.map(({ client }) => client.connect()))
    clients.push(...batch)
  }
  for (const one of clients) {
    one.client.api.news.on('news', (/** @type {number} */ number) => {
      one.came++
      // The first one tells where its numbers begin.
      if (one.last > 0 && number !== one.last + 1) one.wrong++
      one.last = number
    })
  }
  return {}
}

/** @param {number} port */
function open(port) {
  const client = /** @type {AnyClient} */ (
    /** @type {unknown} */ (
      createClient({ url: `ws://127.0.0.1:${port}`, reconnect: { minDelay: 250, maxDelay: 5000 } })
    )
  )
  return { client, last: 0, came: 0, wrong: 0 }
}

/** @param {{ calls: number, inFlight: number }} order */
async function call({ calls, inFlight }) {
  const each = Math.ceil(calls / clients.length / inFlight)
  const began = performance.now()
  await Promise.all(
    clients.flatMap(({ client }) =>
      Array.from({ length: inFlight }, async () => {
        for (let n = 0; n < each; n++) await client.api.rpc.echo('This is a message of 40 characters, as is')
      }),
    ),
  )
  return { calls: each * inFlight * clients.length, milliseconds: performance.now() - began }
}

/** Waits until all have lost their connection and have it again, and have heard of everything before. */
async function recover() {
  const began = performance.now()
  const before = clients.reduce((sum, { came }) => sum + came, 0)
  /** @type {number[]} */
  const times = []
  await Promise.all(
    clients.map(
      ({ client }) =>
        new Promise(resolve => {
          let lost = client.status !== 'connected'
          const off = client.on('status', status => {
            if (status !== 'connected') lost = true
            else if (lost) {
              off()
              times.push(performance.now() - began)
              resolve(undefined)
            }
          })
        }),
    ),
  )
  times.sort((a, b) => a - b)
  const came = clients.reduce((sum, one) => sum + one.came, 0) - before
  return { median: times[times.length >> 1], all: times.at(-1), came }
}

function told() {
  const lasts = clients.map(({ last }) => last)
  return {
    least: Math.min(...lasts),
    most: Math.max(...lasts),
    wrong: clients.reduce((sum, { wrong }) => sum + wrong, 0),
  }
}

/** @type {Record<string, (order: any) => unknown>} */
const orders = { connect, call, recover, told }

process.on('disconnect', () => process.exit())
process.on('message', async order => {
  const { type } = /** @type {{ type: string }} */ (order)
  process.send?.((await orders[type]?.(order)) ?? {})
})
process.send?.({ ready: true })
