import { CLOSE_CODES } from '../errors.js'
import type { Broker } from './broker.js'
import type { HandshakeRefusal } from './handshake-limits.js'

/** Why clients were not let in. */
export type RefusalReason =
  | HandshakeRefusal
  | 'origin'
  | 'pending'
  | 'draining'
  | 'memory'
  | 'subprotocol'
  | 'authenticate'

/** What a server has counted since its start, and what it has now. */
export interface Statistics {
  readonly connections: {
    /** Clients that are welcome now, those that are away included. */
    readonly open: number
    /** Of these, how many are away and may resume. */
    readonly detached: number
    /** Links that are open now, those before their welcome included. */
    readonly links: number
    /** Clients that were welcomed, each once however often it has resumed. */
    readonly welcomed: number
    /** Links on which a client has gone on with its connection. */
    readonly resumed: number
    /** Clients that were not let in, by reason. */
    readonly refused: Readonly<Record<RefusalReason, number>>
    /** Connections that were closed, by close code. */
    readonly closed: Readonly<Record<string, number>>
    /** Of these, those that did not read (4504). */
    readonly slow: number
  }
  /** Messages that count: calls, answers, items, pushes; no pings and the like. */
  readonly messages: { readonly in: number; readonly out: number }
  /**
   * Bytes of frames, characters of those that are text; `replayed` of those out: what clients were sent when they came
   * back, again or as it had come while they were away.
   */
  readonly bytes: { readonly in: number; readonly out: number; readonly replayed: number }
  /** Calls that have no answer yet, and answers that came after the end of their call. */
  readonly calls: { readonly inFlight: number; readonly late: number }
  /** Errors that clients were sent, by code. */
  readonly errors: Readonly<Record<string, number>>
  /** Refusals for want of room: `OVERLOADED` errors, closes with 4505, and clients that limits kept out. */
  readonly overloads: number
  /** Messages that no actor has handled, by reason. */
  readonly deadLetters: Readonly<Record<string, number>>
  /** Whether clients are refused because memory is short. */
  readonly memoryFull: boolean
}

/** Names counted before the rest is `other`: codes of errors are the application's. */
const NAMES = 256

/** Counts by name, in bounded memory. */
export class Tally {
  readonly #counts = new Map<string, number>()

  /** Counts one. */
  add(name: string): void {
    const known = this.#counts.has(name) || this.#counts.size < NAMES ? name : 'other'
    this.#counts.set(known, this.of(known) + 1)
  }

  /** How many of a name. */
  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** All counts, a copy. */
  toObject(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }
}

/** What is counted as it happens. */
export class Counters {
  bytesIn = 0
  bytesOut = 0
  bytesReplayed = 0
  welcomed = 0
  resumed = 0
  /** Answers after the end of their call. */
  late = 0
  /** Of connections that are closed. */
  messagesIn = 0
  messagesOut = 0
  readonly closed = new Tally()
  readonly errors = new Tally()
  readonly refused: Record<RefusalReason, number> = {
    connections: 0,
    connectionsPerAddress: 0,
    handshakes: 0,
    handshakesPerAddress: 0,
    origin: 0,
    pending: 0,
    draining: 0,
    memory: 0,
    subprotocol: 0,
    authenticate: 0,
  }
}

/** What the actors of a server have counted; walks its connections once. */
export function statisticsOf(broker: Broker): Statistics {
  const { counters, connections, system } = broker
  const { refused } = counters
  let [messagesIn, messagesOut] = [counters.messagesIn, counters.messagesOut]
  for (const connection of connections.byId.values()) {
    messagesIn += connection.received
    messagesOut += connection.sent
  }
  const limited =
    refused.connections +
    refused.connectionsPerAddress +
    refused.handshakes +
    refused.handshakesPerAddress +
    refused.pending +
    refused.memory
  return {
    connections: {
      open: connections.byId.size,
      detached: connections.resumables.away.connections,
      links: connections.limits.links,
      welcomed: counters.welcomed,
      resumed: counters.resumed,
      refused: { ...refused },
      closed: counters.closed.toObject(),
      slow: counters.closed.of(String(CLOSE_CODES.SLOW_CONSUMER)),
    },
    messages: { in: messagesIn, out: messagesOut },
    bytes: { in: counters.bytesIn, out: counters.bytesOut, replayed: counters.bytesReplayed },
    calls: { inFlight: connections.inFlight, late: counters.late },
    errors: counters.errors.toObject(),
    overloads:
      limited + counters.errors.of('OVERLOADED') + counters.closed.of(String(CLOSE_CODES.OVERLOADED)),
    deadLetters: { ...system.deadLetters.counts },
    memoryFull: connections.memory.full,
  }
}
