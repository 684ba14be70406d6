import type { BrokerConnection } from '../actors/connection.js'
import { Outgoing } from '../actors/outgoing.js'
import { BrokerRequest } from '../actors/request.js'
import type { ActorRef } from '../actors/runtime/index.js'
import type { Turn } from '../actors/runtime/tap.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import { methodName } from './method-counts.js'
import type { TraceEvent, TraceItem, TraceOptions } from './protocol.js'
import { pathOf, type Subject } from './source.js'
import { Tail } from './tail.js'

/** Events that wait for a viewer. */
const KEPT = 2000
/** Events of one item. */
const PER_ITEM = 500
/** Events a second past which only one of several is kept. */
const RATE = 2000
/** Actors of one trace. */
const MOST_ACTORS = 32
/** Who is at the other end of the link. */
const CLIENT = 'client'

type Draft = Omit<TraceEvent, 'seq' | 'at'>

/** Hears each event of a traced actor that is kept. */
export type TraceListener = (ref: ActorRef<never>, turn: Turn, event: TraceEvent | undefined) => void

/**
 * The messages of one connection wherever they go, or of chosen actors: taps them from its beginning to its end.
 *
 * Bounded in what waits and in what is kept of a second; what was left out is counted.
 */
export class Trace {
  readonly #subject: Subject
  readonly #heard: TraceListener
  readonly #tail = new Tail<TraceEvent>(KEPT)
  readonly #connection: BrokerConnection | undefined
  readonly #refs: ActorRef<never>[] = []
  readonly #ends: (() => void)[] = []
  #read = 0
  #sampling = 1
  #second = 0
  #count = 0

  /**
   * @param heard called with each message of a tapped actor
   * @throws SocketStreamError `NOT_FOUND`, `INVALID_ARGUMENTS`
   */
  constructor(subject: Subject, options: TraceOptions, heard: TraceListener) {
    this.#subject = subject
    this.#heard = heard
    const { broker } = subject
    if (typeof options.connection === 'string') {
      const connection = broker.connections.byId.get(options.connection)
      if (connection === undefined) throw notFound(`no open connection has the id ${options.connection}`)
      this.#connection = connection
      this.#refs.push(
        connection.ref as unknown as ActorRef<never>,
        broker.router as unknown as ActorRef<never>,
      )
      for (const service of broker.services) {
        if (service !== undefined) this.#refs.push(service.ref as unknown as ActorRef<never>)
      }
    } else {
      const paths = options.actors ?? []
      if (!Array.isArray(paths) || paths.length === 0 || paths.length > MOST_ACTORS)
        throw new SocketStreamError(
          'INVALID_ARGUMENTS',
          `trace { connection } or 1 to ${MOST_ACTORS} { actors }`,
        )
      for (const path of paths) {
        const ref = broker.system.find(String(path))
        if (ref === undefined) throw notFound(`there is no actor ${path}`)
        this.#refs.push(ref)
      }
    }
    for (const ref of this.#refs) this.#ends.push(ref.tap(turn => this.#turn(ref, turn)))
  }

  /** The actors that are tapped. */
  get refs(): readonly ActorRef<never>[] {
    return this.#refs
  }

  /** Takes the taps away. */
  end(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  /** What came since it was last asked. */
  next(): TraceItem {
    const { items, dropped } = this.#tail.since(this.#read, PER_ITEM)
    this.#read = this.#tail.end
    const gone = this.#refs.every(ref => !ref.live)
    const ended = gone || (this.#connection !== undefined && !this.#connection.open)
    const actors = this.#refs.map(pathOf)
    return {
      events: items,
      dropped,
      sampling: this.#sampling,
      actors: this.#connection === undefined ? actors : [CLIENT, ...actors],
      ...(ended && { ended }),
    }
  }

  #turn(ref: ActorRef<never>, turn: Turn): void {
    if (this.#connection !== undefined && !this.#concerns(this.#connection, ref, turn.message)) return
    if (!this.#keeps()) return this.#heard(ref, turn, undefined)
    const event = this.#push({ ...this.#describe(ref, turn.message), ...this.#measures(ref, turn) })
    this.#heard(ref, turn, event)
    if (this.#connection === undefined || !(turn.message instanceof Outgoing)) return
    // What the connection was told it has sent on over its link.
    const { label, call, payload } = event
    const from = pathOf(ref)
    this.#push({
      from,
      to: CLIENT,
      label,
      took: 0,
      depth: 0,
      ...(call && { call }),
      ...(payload !== undefined && { payload }),
    })
  }

  #push(draft: Draft): TraceEvent {
    const event: TraceEvent = { seq: this.#tail.end, at: Date.now(), ...draft }
    this.#tail.push(event)
    return event
  }

  /** Whether one more of this second is kept; of too many, one of several. */
  #keeps(): boolean {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#second) {
      this.#sampling = Math.max(1, Math.ceil(this.#count / RATE))
      this.#second = second
      this.#count = 0
    }
    return this.#count++ % this.#sampling === 0
  }

  #concerns(connection: BrokerConnection, ref: ActorRef<never>, message: object): boolean {
    if ((ref as unknown) === connection.ref) return (message as { type?: unknown }).type !== 'tick'
    return (message as { connection?: unknown }).connection === connection
  }

  #measures(ref: ActorRef<never>, turn: Turn): Pick<Draft, 'from' | 'to' | 'took' | 'depth' | 'failed'> {
    const { message } = turn
    const isFrame = (message as { type?: unknown }).type === 'frame'
    const from = isFrame ? CLIENT : turn.from
    return {
      ...(from !== undefined && { from }),
      to: pathOf(ref),
      took: Math.round(turn.took * 1000) / 1000,
      depth: turn.depth,
      ...(turn.failed && { failed: true }),
    }
  }

  #describe(ref: ActorRef<never>, message: object): Pick<Draft, 'label' | 'call' | 'payload'> {
    const { broker } = this.#subject
    try {
      if (message instanceof BrokerRequest) {
        const { kind, service, target, attributes } = message
        return this.#labelled(
          `${kind} ${service}.${methodName(message, target.definition.type)}`,
          attributes.callbackId,
          message.message,
        )
      }
      const { type, frame } = message as { readonly type?: unknown; readonly frame?: Uint8Array | string }
      const connection = this.#connection ?? broker.connections.byId.get(ref.path.split('/')[2] ?? '')
      if (message instanceof Outgoing || (type === 'frame' && frame !== undefined)) {
        const codec = connection?.codec ?? broker.primaryCodec
        const { kind, service, id, payload } = codec.decode(
          message instanceof Outgoing ? message.frameFor(codec) : frame!,
        )
        const name = broker.services[service]?.name
        const label = `${KIND[kind]?.toLowerCase() ?? `kind ${kind}`}${name === undefined ? '' : ` ${name}`}`
        return this.#labelled(label, id || undefined, payload)
      }
      const label = typeof type === 'string' ? type : (message.constructor?.name ?? 'message')
      return this.#labelled(label, undefined, withoutConnections(message))
    } catch {
      // A frame that cannot be read is what it is; the connection says so itself.
      return { label: String((message as { type?: unknown }).type ?? 'message') }
    }
  }

  #labelled(
    label: string,
    call: number | undefined,
    payload: unknown,
  ): Pick<Draft, 'label' | 'call' | 'payload'> {
    return {
      label,
      ...(call !== undefined && { call }),
      ...(payload !== undefined && { payload: this.#subject.redact(payload) }),
    }
  }
}

/** The server's own messages carry connections and functions, which say nothing. */
function withoutConnections(message: object): object {
  const plain = Object.entries(message).filter(
    ([key, value]) => key !== 'type' && typeof value !== 'function',
  )
  return Object.fromEntries(plain)
}

function notFound(message: string): SocketStreamError {
  return new SocketStreamError('NOT_FOUND', message)
}
