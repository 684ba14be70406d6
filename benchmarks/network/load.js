/**
 * The load of `network` and `sessions`, in a process of its own.
 *
 * Raw sockets and bytes made beforehand, so that the load costs the same whatever the server is. Keeps
 * the connections of each server open until told to close them; takes orders from its parent, one at a time.
 */
import { Client, fail } from './client.js'
import { Latencies } from './latency.js'

/** Milliseconds that a turn of this process may take; past that the load has stood still. */
const STALL = 1
/** Calls in flight on a connection under a load of fixed rate; past that they wait here, which counts. */
const OPEN_SLOTS = 64

/** @type {Map<string, { protocol: string, port: number, all: Client[] }>} */
const servers = new Map()

/**
 * Opens connections up to a number, all at once or `batch` at a time; gives the milliseconds that each took to be
 * ready. Those that are open already stay.
 *
 * @param {{ server: string, protocol?: string, port: number, connections: number, batch?: number,
 *   headers?: Record<string, string>[] }} order headers for each connection in turn
 */
async function open({ server, protocol = server, port, connections, batch = connections, headers = [{}] }) {
  const known = servers.get(server) ?? { protocol, port, all: [] }
  servers.set(server, known)
  const latencies = []
  while (known.all.length < connections) {
    const first = known.all.length
    const size = Math.min(batch, connections - first)
    const opened = Array.from({ length: size }, async (_, i) => {
      const start = performance.now()
      const client = new Client(protocol, port, first + i, headers[(first + i) % headers.length])
      known.all.push(client)
      await client.ready
      return performance.now() - start
    })
    latencies.push(...(await Promise.all(opened)))
  }
  return { latencies }
}

/** @param {{ server: string }} order */
async function close({ server }) {
  const { all } = servers.get(server) ?? { all: [] }
  servers.delete(server)
  await Promise.all(all.map(client => client.leave()))
  return {}
}

/**
 * Calls over all connections, each with as many in flight: so many in all, or for so long.
 *
 * @param {{ server: string, inFlight: number, calls?: number, seconds?: number, size?: number,
 *   services?: number }} order
 */
async function call({ server, inFlight, calls = Infinity, seconds = Infinity, size = 16, services = 1 }) {
  const all = connected(server)
  const latencies = new Latencies()
  const start = performance.now()
  const end = start + seconds * 1000
  const each = calls / all.length
  // Whole rounds of the services, so that each gets the same.
  const slots = services * Math.ceil(inFlight / services)
  await Promise.all(
    all.map(client => {
      client.prepare({ slots, size, services })
      const sent = new Float64Array(slots).fill(performance.now())
      let oldest = 0
      let left = each
      return new Promise(resolve => {
        const send = (/** @type {number} */ count, /** @type {number} */ now) => {
          for (let i = 0; i < count; i++) sent[(oldest + client.waiting + i) % slots] = now
          left -= count
          client.send(count)
        }
        client.onanswers = count => {
          const now = performance.now()
          for (let i = 0; i < count; i++) {
            latencies.record(now - sent[oldest])
            oldest = (oldest + 1) % slots
          }
          const more = now < end ? Math.min(count, left) : 0
          if (more > 0) send(more, now)
          else if (client.waiting === 0) resolve(undefined)
        }
        send(Math.min(inFlight, left), performance.now())
      })
    }),
  )
  const latency = latencies.summary()
  return { seconds: (performance.now() - start) / 1000, calls: latency.count, latency }
}

/**
 * Calls with so many in flight in all, whatever the number of connections: each answer sends a call on the next one.
 *
 * @param {{ server: string, inFlight: number, seconds: number, size: number }} order
 */
async function roam({ server, inFlight, seconds, size }) {
  const all = connected(server)
  const start = performance.now()
  const end = start + seconds * 1000
  let next = 0
  let waiting = 0
  let calls = 0
  const send = () => {
    waiting++
    all[next].send(1)
    next = (next + 1) % all.length
  }
  await new Promise(resolve => {
    for (const client of all) {
      client.prepare({ slots: 64, size })
      client.onanswers = count => {
        calls += count
        waiting -= count
        if (performance.now() < end) for (let i = 0; i < count; i++) send()
        else if (waiting === 0) resolve(undefined)
      }
    }
    for (let i = 0; i < inFlight; i++) send()
  })
  return { seconds: (performance.now() - start) / 1000, calls }
}

/**
 * Calls at a given rate, whether answers come or not: a latency begins when the call was due, so that what a server
 * holds up counts for all that it holds up. What the load holds up is none of the server's doing: calls that
 * waited while this process stood still are left out.
 *
 * The times are those of a Poisson process, the same for each server.
 *
 * @param {{ server: string, rate: number, seconds: number, size: number }} order calls per second over all
 */
async function pace({ server, rate, seconds, size }) {
  const all = connected(server)
  const latencies = new Latencies()
  const random = generator(2013)
  const due = all.map(() => /** @type {number[]} */ ([]))
  const start = performance.now()
  const end = start + seconds * 1000
  let waiting = 0
  let turn = 0
  let next = start
  let left = 0
  let looked = start
  let stalled = start
  /** Looks at the clock, and whether it has been too long since the last look. */
  const look = () => {
    const now = performance.now()
    if (now - looked > STALL) stalled = now
    looked = now
    return now
  }
  await new Promise(resolve => {
    all.forEach((client, index) => {
      const times = due[index]
      client.prepare({ slots: OPEN_SLOTS, size })
      client.onanswers = count => {
        const now = look()
        for (let i = 0; i < count; i++) {
          const begun = /** @type {number} */ (times.shift())
          if (begun < stalled) left++
          else latencies.record(now - begun)
        }
        waiting -= count
        const held = times.length - client.waiting
        if (held > 0) client.send(Math.min(held, OPEN_SLOTS - client.waiting))
        if (waiting === 0 && next >= end) resolve(undefined)
      }
    })
    // Timers are too coarse: it looks at the clock in every turn.
    const tick = () => {
      const now = look()
      for (; next < end && next <= now; next += (-Math.log(1 - random()) * 1000) / rate) {
        const index = turn++ % all.length
        due[index].push(next)
        waiting++
        if (all[index].waiting < OPEN_SLOTS) all[index].send(1)
      }
      if (next < end) setImmediate(tick)
      else if (waiting === 0) resolve(undefined)
    }
    tick()
  })
  const latency = latencies.summary()
  const calls = latency.count + left
  return { seconds: (performance.now() - start) / 1000, calls, latency, left: left / calls }
}

/**
 * Connects and leaves again, so many at a time, for so long.
 *
 * @param {{ server: string, protocol: string, port: number, concurrency: number, seconds?: number,
 *   cycles?: number }} order
 */
async function churn({ protocol, port, concurrency, seconds = Infinity, cycles = Infinity }) {
  const start = performance.now()
  const end = start + seconds * 1000
  let calls = 0
  const worker = async () => {
    while (calls < cycles && performance.now() < end) {
      const client = new Client(protocol, port, calls++)
      await client.ready
      await client.leave()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { seconds: (performance.now() - start) / 1000, calls }
}

/**
 * Subscribes each connection to channels: the first to the first list, and round about.
 *
 * @param {{ server: string, channels: string[][] }} order
 */
async function subscribe({ server, channels }) {
  await Promise.all(connected(server).map((client, i) => client.subscribe(channels[i % channels.length])))
  return {}
}

/** Resolves when all that is expected has come. */
let heard = Promise.resolve()

/**
 * Counts publications from now on; the order `heard` waits until so many have come.
 *
 * @param {{ server: string, expected: number }} order
 */
async function expect({ server, expected }) {
  let left = expected
  heard = new Promise(resolve => {
    for (const client of connected(server)) {
      client.onanswers = count => {
        left -= count
        if (left === 0) resolve()
        else if (left < 0) fail(new Error(`${server} delivered ${-left} more than ${expected}`))
      }
    }
  })
  return {}
}

/** @param {string} server */
function connected(server) {
  const known = servers.get(server)
  if (known === undefined) throw new Error(`There are no connections to ${server}`)
  return known.all
}

/**
 * Numbers from 0 to 1, always the same (mulberry32).
 *
 * @param {number} seed
 */
function generator(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @type {Record<string, (order: any) => Promise<object>>} */
const orders = {
  ...{ connect: open, close, call, roam, pace, churn, subscribe, expect },
  async heard() {
    await heard
    return {}
  },
}

process.on('disconnect', () => process.exit())
process.on('message', async order => {
  try {
    process.send?.(await orders[/** @type {{ type: string }} */ (order).type](order))
  } catch (error) {
    fail(error)
  }
})
