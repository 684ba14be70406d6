import { Child } from '../child.js'

/** Milliseconds that a child may take to start, and to do one round. */
const PATIENCE = 300_000
/** Connections that are begun at a time, so that no backlog overflows. */
const BATCH = 200
/** Bytes that one burst of publications may leave in the buffers of a connection. */
const BURST_BYTES = 64 * 1024
/** Deliveries of one burst, so that asking for it costs little beside them. */
const BURST_DELIVERIES = 20_000
/** What each server does before anything is measured, so that its code is compiled. */
const WARM = { connections: 50, inFlight: 16, size: 256 }

/** Connections that one process of the load holds at most; past that there is another one. */
const HELD = 12_000

/** The servers of a comparison, each in a process of its own, and the load in others. */
export class Bench {
  /** @type {{ child: Child, held: number }[]} */
  #loads = []
  /** Which process of the load a row is connected by. @type {Map<string, { load: { child: Child, held: number }, count: number }>} */
  #places = new Map()
  /** @type {Map<string, { child: Child, port: number, unavailable?: string }>} */
  #servers = new Map()

  /**
   * Starts the server of a row unless it runs already.
   *
   * @param {import('./rows.js').Row} row
   * @returns {Promise<string | undefined>} why there is none
   */
  async start(row) {
    if (this.#servers.has(row.name)) return this.#servers.get(row.name)?.unavailable
    const args = [row.server, JSON.stringify(row.options ?? {})]
    const child = new Child(row.name, new URL('server.js', import.meta.url), args, ['--expose-gc'])
    const server = { child, port: 0, unavailable: /** @type {string | undefined} */ (undefined) }
    this.#servers.set(row.name, server)
    Object.assign(server, await child.next(PATIENCE))
    return server.unavailable
  }

  /**
   * Starts the server of a row, and has it answer calls if it has not before: by number, not by time, so that code is
   * compiled on a machine that is slow just then, too.
   *
   * @param {import('./rows.js').Row} row
   * @param {number} calls
   * @returns {Promise<string | undefined>} why there is none
   */
  async startWarm(row, calls) {
    const fresh = !this.#servers.has(row.name)
    const unavailable = await this.start(row)
    if (!fresh || unavailable !== undefined) return unavailable
    await this.connect(row, WARM.connections)
    await this.measure(row, { type: 'call', calls, inFlight: WARM.inFlight, size: WARM.size })
    await this.disconnect(row)
  }

  /**
   * Opens connections up to a number.
   *
   * @param {import('./rows.js').Row & { options?: { sessions?: boolean } }} row
   * @param {number} connections
   */
  async connect(row, connections) {
    const { child, port } = this.#server(row)
    this.#place(row, connections)
    const order = {
      type: 'connect',
      server: row.name,
      protocol: row.protocol,
      port,
      connections,
      batch: BATCH,
    }
    if (!row.options?.sessions) return this.#ask(row, order)
    const { cookies } = await child.ask({ sessions: connections }, PATIENCE)
    return this.#ask(row, {
      ...order,
      headers: cookies.map((/** @type {string} */ cookie) => ({ Cookie: cookie })),
    })
  }

  /** Closes all connections of a row. @param {import('./rows.js').Row} row */
  async disconnect(row) {
    await this.#ask(row, { type: 'close', server: row.name })
    const place = this.#places.get(row.name)
    if (place !== undefined) place.load.held -= place.count
    this.#places.delete(row.name)
  }

  /**
   * Has the load do something, and says what each call of it has cost the server.
   *
   * @param {import('./rows.js').Row} row
   * @param {{ type: 'call' | 'roam' | 'pace' | 'churn', [name: string]: unknown }} order
   * @returns {Promise<Record<string, number>>} `cpu` in µs per call, `rate` per second, `late` in ms, percentiles in µs;
   *   of a load at a fixed rate `left`, the part of the calls that the percentiles leave out
   */
  async measure(row, order) {
    const { child, port } = this.#server(row)
    const before = await child.ask({}, PATIENCE)
    const protocol = row.protocol ?? row.name
    const {
      seconds,
      calls,
      latency = {},
      left,
    } = await this.#ask(row, { ...order, server: row.name, protocol, port })
    const after = await child.ask({}, PATIENCE)
    const { p50, p90, p99, p999 } = latency
    const percentiles = latency.p50 === undefined ? {} : { p50, p90, p99, p999 }
    const figures = {
      cpu: cpu(before, after) / calls,
      rate: calls / seconds,
      late: after.late,
      ...percentiles,
    }
    return left === undefined ? figures : { ...figures, left }
  }

  /** Subscribes connections. @param {import('./rows.js').Row} row @param {string[][]} channels for each in turn */
  subscribe(row, channels) {
    return this.#ask(row, { type: 'subscribe', server: row.name, channels })
  }

  /**
   * Publishes for a while; what each delivery has cost the server.
   *
   * @param {import('./rows.js').Row} row
   * @param {object} shape
   * @param {number} shape.connections each of which gets `perTick` messages a tick
   * @param {number} shape.perTick
   * @param {number} shape.size bytes of text
   * @param {number} shape.seconds
   * @param {string[][]} [shape.channels]
   */
  async publish(row, { connections, perTick, size, seconds, channels }) {
    const { child } = this.#server(row)
    const most = Math.min(BURST_DELIVERIES / (connections * perTick), BURST_BYTES / (perTick * (size + 64)))
    const ticks = Math.max(1, Math.floor(most))
    const expected = ticks * perTick * connections
    const before = await child.ask({}, PATIENCE)
    const start = performance.now()
    let deliveries = 0
    let late = 0
    do {
      await this.#ask(row, { type: 'expect', server: row.name, expected })
      const answer = await child.ask({ publish: { ticks, perTick, size, channels } }, PATIENCE)
      await this.#ask(row, { type: 'heard' })
      late = Math.max(late, answer.late)
      deliveries += expected
    } while (performance.now() - start < seconds * 1000)
    const rate = deliveries / ((performance.now() - start) / 1000)
    const after = await child.ask({}, PATIENCE)
    return { cpu: cpu(before, after) / deliveries, rate, late }
  }

  /**
   * Memory of a server, in bytes: RSS before and after a collection, and the heap after it.
   *
   * @param {import('./rows.js').Row} row
   * @param {boolean} [collect] whether there is one
   * @returns {Promise<{ rss: number, collected: number, heapUsed: number }>}
   */
  memory(row, collect = true) {
    return this.#server(row).child.ask({ memory: true, collect }, PATIENCE)
  }

  /** Ends the server of a row, which has no connections left. @param {import('./rows.js').Row} row */
  stop(row) {
    this.#server(row).child.stop()
    this.#servers.delete(row.name)
  }

  /** Ends all of it. */
  end() {
    for (const { child } of this.#servers.values()) child.stop()
    for (const { child } of this.#loads) child.stop()
  }

  #server(/** @type {import('./rows.js').Row} */ row) {
    const server = this.#servers.get(row.name)
    if (server === undefined) throw new Error(`${row.name} was not started`)
    return server
  }

  /** Gives a row its process of the load, where there is room for all its connections. */
  #place(/** @type {import('./rows.js').Row} */ row, /** @type {number} */ count) {
    const place = this.#places.get(row.name) ?? { load: this.#room(count), count: 0 }
    place.load.held += count - place.count
    place.count = count
    this.#places.set(row.name, place)
  }

  #room(/** @type {number} */ count) {
    const free = this.#loads.find(({ held }) => held + count <= HELD)
    if (free !== undefined) return free
    const load = { child: new Child('load', new URL('load.js', import.meta.url)), held: 0 }
    this.#loads.push(load)
    return load
  }

  #ask(/** @type {import('./rows.js').Row} */ row, /** @type {object} */ order) {
    const { load } = this.#places.get(row.name) ?? { load: this.#room(0) }
    return load.child.ask(order, PATIENCE)
  }
}

/**
 * @param {NodeJS.CpuUsage} before
 * @param {NodeJS.CpuUsage} after
 */
function cpu(before, after) {
  return after.user + after.system - before.user - before.system
}
