/**
 * Server CPU per RPC call over real WebSockets, by what the handler does with `ctx.session`.
 *
 * As in `network` each server is a process of its own, and the load another. Every connection has a stored
 * session of its own, named by its cookie.
 */
import { Child } from '../child.js'

const CONNECTIONS = 50
const IN_FLIGHT = [1, 16]
/** 0.85 of the rate, as CPU time. */
const LIMIT = 1 / 0.85
const HANDLERS = [
  { name: 'none', label: 'does not use it' },
  { name: 'text', label: 'reads a text', target: { of: 'ratio', at: 'most', limit: LIMIT } },
  { name: 'object', label: 'reads an object', target: { of: 'ratio', at: 'most', limit: LIMIT } },
  { name: 'write', label: 'writes: a save per call' },
]
/** Milliseconds that a child may take to start, and to do one round. */
const PATIENCE = 60_000

/** @type {import('../sessions.js').Part} */
export async function calls({ quick, progress }) {
  const count = quick ? 1000 : 50_000
  const rounds = quick ? 1 : 7
  const servers = new Map(
    HANDLERS.map(({ name }) => [name, new Child(name, new URL('server.js', import.meta.url), [name])]),
  )
  const load = new Child('load', new URL('../network/load.js', import.meta.url))
  try {
    for (const [server, child] of servers) {
      const { port } = await child.next(PATIENCE)
      const { cookies } = await child.ask({ sessions: CONNECTIONS }, PATIENCE)
      const headers = cookies.map((/** @type {string} */ cookie) => ({ Cookie: cookie }))
      const order = { type: 'connect', server, protocol: 'socketstream', port, connections: CONNECTIONS }
      await load.ask({ ...order, headers }, PATIENCE)
    }
    const values = IN_FLIGHT.map(
      () => new Map(HANDLERS.map(({ name }) => [name, /** @type {number[]} */ ([])])),
    )
    for (let round = 0; round <= rounds; round++) {
      for (const [index, inFlight] of IN_FLIGHT.entries()) {
        for (const [server, child] of servers) {
          const before = await child.ask({}, PATIENCE)
          await load.ask({ type: 'call', server, inFlight, calls: count }, PATIENCE)
          const after = await child.ask({}, PATIENCE)
          const cpu = (after.user + after.system - before.user - before.system) / count
          const words = `${server}, ${inFlight} in flight: ${cpu.toFixed(2)} µs per call`
          // The first round warms up.
          progress(`${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${words}`)
          if (round > 0) values[index].get(server)?.push(cpu)
        }
      }
    }
    return IN_FLIGHT.map((inFlight, index) => ({
      label: `CPU per call, ${inFlight} in flight`,
      unit: /** @type {const} */ ('µs'),
      sides: HANDLERS.map(({ name, ...side }) => ({ ...side, values: values[index].get(name) ?? [] })),
    }))
  } finally {
    for (const child of [load, ...servers.values()]) child.stop()
  }
}
