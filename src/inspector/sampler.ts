import type { BrokerConnection } from '../actors/connection.js'
import type { ActorRef } from '../actors/runtime/index.js'
import { eventLoopLag } from '../event-loop-lag.js'
import type { Overview, OverviewPoint, Totals } from './protocol/index.js'
import { below, type InspectorSource, pathOf } from './source.js'
import { Tail } from './tail.js'

/** Actors whose mailboxes one sample looks at; there may be far more. */
const LOOKED_AT = 10_000

/** What was counted of a connection when it was last looked at. */
interface Seen {
  in: number
  out: number
  bytesIn: number
  bytesOut: number
}

interface Flow {
  messagesIn: number
  messagesOut: number
  bytesIn: number
  bytesOut: number
}

/**
 * Samples what a server does, once a second as long as somebody watches, from counters that are there anyway.
 *
 * Messages and bytes are sums of the connections' own counters. A connection that goes is counted to its end.
 */
export class Sampler {
  readonly points: Tail<OverviewPoint>
  /** Log lines of level `error`; counted by who hears them. */
  errors = 0
  readonly #source: InspectorSource
  readonly #seen = new Map<BrokerConnection, Seen>()
  #gone: BrokerConnection[] = []
  #lag: () => number = () => 0
  #stop: (() => void) | undefined
  #last: number | undefined
  #totals = { since: 0, messagesIn: 0, messagesOut: 0, opened: 0, closed: 0 }
  #looked = { looked: 0, actors: 0 }

  /** @param history samples that are kept */
  constructor(source: InspectorSource, history: number) {
    this.#source = source
    this.points = new Tail(history)
  }

  /** Begins to count; what went before is not in the totals. */
  begin(): void {
    const { events, connections } = this.#source.broker
    const opened = (_id: string, connection: BrokerConnection): void => {
      this.#totals.opened++
      this.#seen.set(connection, { in: 0, out: 0, bytesIn: 0, bytesOut: 0 })
    }
    const closed = (_id: string, connection: BrokerConnection): void => {
      this.#totals.closed++
      this.#gone.push(connection)
    }
    events.on('client:connect', opened).on('client:disconnect', closed)
    const watch = lagWatch()
    this.#lag = watch.lag
    this.#totals = { since: Date.now(), messagesIn: 0, messagesOut: 0, opened: 0, closed: 0 }
    for (const connection of connections.byId.values()) this.#seen.set(connection, seen(connection))
    this.#stop = () => {
      events.off('client:connect', opened).off('client:disconnect', closed)
      watch.end()
    }
  }

  end(): void {
    this.#stop?.()
    this.#stop = undefined
    this.#seen.clear()
    this.#gone = []
    this.#last = undefined
  }

  /** Exact sums since it began. */
  get totals(): Totals {
    return { ...this.#totals }
  }

  overview(): Overview {
    return { points: this.points.all(), totals: this.totals, depthOf: { ...this.#looked } }
  }

  /** Takes a sample now and keeps it. */
  sample(): OverviewPoint {
    const { broker } = this.#source
    const now = performance.now()
    const flow = this.#flow()
    this.#totals.messagesIn += flow.messagesIn
    this.#totals.messagesOut += flow.messagesOut
    const rates = this.#last === undefined ? {} : perSecond(flow, now - this.#last)
    this.#last = now
    const { counters, root } = broker.system
    const depths = this.#depths(root)
    const { heapUsed, rss } = process.memoryUsage()
    let queued = 0
    let detached = 0
    for (const connection of broker.connections.byId.values()) {
      queued += connection.attachment.link.bufferedBytes
      if (connection.state === 'detached') detached++
    }
    const point: OverviewPoint = {
      at: Date.now(),
      connections: broker.connections.byId.size,
      detached,
      sessions: broker.liveSessions.size,
      actors: counters.actors,
      ...rates,
      lag: this.#lag(),
      heap: heapUsed,
      rss,
      ...depths,
      queued,
      crashes: counters.crashes,
      deadLetters: counters.deadLetters,
      errors: this.errors,
    }
    this.points.push(point)
    return point
  }

  #flow(): Flow {
    const flow = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0 }
    const gone = this.#gone
    this.#gone = []
    for (const connection of this.#source.broker.connections.byId.values()) this.#add(flow, connection)
    for (const connection of gone) {
      this.#add(flow, connection)
      this.#seen.delete(connection)
    }
    return flow
  }

  #add(flow: Flow, connection: BrokerConnection): void {
    const now = seen(connection)
    const before = this.#seen.get(connection) ?? { in: 0, out: 0, bytesIn: 0, bytesOut: 0 }
    flow.messagesIn += now.in - before.in
    flow.messagesOut += now.out - before.out
    // Another link than before counts from nothing.
    flow.bytesIn += Math.max(0, now.bytesIn - before.bytesIn)
    flow.bytesOut += Math.max(0, now.bytesOut - before.bytesOut)
    this.#seen.set(connection, now)
  }

  #depths(root: ActorRef<never>): Pick<OverviewPoint, 'depth' | 'deepest'> {
    let depth = root.depth
    let looked = 1
    let deepest: ActorRef<never> | undefined
    let most = 0
    for (const ref of below(root)) {
      if (looked++ >= LOOKED_AT) break
      const waiting = ref.depth
      depth += waiting
      if (waiting > most) {
        most = waiting
        deepest = ref
      }
    }
    this.#looked = { looked: Math.min(looked, LOOKED_AT), actors: this.#source.broker.system.counters.actors }
    return { depth, ...(deepest && { deepest: { path: pathOf(deepest), depth: most } }) }
  }
}

function seen({ received, sent, attachment }: BrokerConnection): Seen {
  const { received: bytesIn = 0, written: bytesOut = 0 } = attachment.link.traffic ?? {}
  return { in: received, out: sent, bytesIn, bytesOut }
}

function perSecond(flow: Flow, passed: number): Flow {
  const rate = (count: number): number => Math.round((count * 10_000) / Math.max(passed, 1)) / 10
  return {
    messagesIn: rate(flow.messagesIn),
    messagesOut: rate(flow.messagesOut),
    bytesIn: Math.round(rate(flow.bytesIn)),
    bytesOut: Math.round(rate(flow.bytesOut)),
  }
}

/** The event loop's lag, measured by a timer that can be ended. */
function lagWatch(): { lag(): number; end(): void } {
  let ended = false
  const lag = eventLoopLag({
    now: () => performance.now(),
    setTimeout: (callback, ms) => (ended ? {} : setTimeout(callback, ms)),
    clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout),
  })
  return {
    lag,
    end() {
      ended = true
    },
  }
}
