/**
 * A viewer of `inspector`, in a process of its own: asks for what the page asks for while one of its panels is open.
 *
 * `overview` is the stream of samples alone, which every panel has; `services` counts methods; `actor` lists actors and
 * looks into one, which taps its messages.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'socketstream-server/client'

/** Milliseconds after which the page asks again. */
const EVERY = 1000

const [port, panel, connection] = process.argv.slice(2)
const client = createClient({ url: `ws://127.0.0.1:${port}/_inspector/socket`, reconnect: false })
await client.connect()
const api = client.api.inspector
const path = `/connections/${connection}`
let samples = 0

/** @param {AsyncIterable<unknown>} stream */
async function drain(stream) {
  for await (const item of stream) if (item !== undefined) samples++
}

async function poll() {
  for (;;) {
    if (panel === 'services') await api.services()
    if (panel === 'actor') {
      await Promise.all([api.actors({ limit: 100 }), api.actors({ parent: '/connections', limit: 100 })])
      await api.actor(path)
    }
    await pause(EVERY)
  }
}

drain(api.watch({}))
if (panel === 'services') drain(api.watch({ services: true }))
if (panel === 'actor') drain(api.trace({ actors: [path] }))
await api.overview()
poll()
process.on('message', () => process.send?.({ samples }))
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })
