import type { BrokerConnection } from '../actors/connection.js'
import { Outgoing } from '../actors/outgoing.js'
import { BrokerRequest } from '../actors/request.js'
import type { ActorRef } from '../actors/runtime/index.js'
import type { Turn } from '../actors/runtime/tap.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import { methodName } from './method-counts.js'
import type { TraceEvent, TraceItem, TraceOptions } from './protocol/index.js'
import { pathOf, type Subject } from './source.js'
import { Tail } from './tail.js'
import { TapBudget } from './tap-budget.js'

/** Events that wait for a viewer. */
const KEPT = 2000
/** Events of one item. */
const PER_ITEM = 500
/** Messages heard of a second; of more only the first ones of each tenth. */
const RATE = 1000
/** Actors of one trace. */
const MOST_ACTORS = 32
/** Who is at the other end of the link. */
const CLIENT = 'client'

type Draft = Omit<TraceEvent, 'seq' | 'at'>

/** Hears each message that is traced. */
export type TraceListener = (ref: ActorRef<never>, turn: Turn, event: TraceEvent) => void

/**
 * The messages of one connection wherever they go, or of chosen actors: taps them from its beginning to its end.
 *
 * Bounded in what waits and in what is heard of a second; how much is left out is known.
 */
export class Trace {
  readonly #subject: Subject
  readonly #heard: TraceListener
  readonly #tail = new Tail<TraceEvent>(KEPT)
  readonly #connection: BrokerConnection | undefined
  readonly #refs: ActorRef<never>[] = []
  readonly #budget = new TapBudget(RATE, () => this.#tap())
  #read = 0
  /** Messages heard of the actor whose messages are counted, or of all, since the last item. */
  #heardOf = 0
  #handledThen = 0
  /** Whether the taps came off since the last item. */
  #cut = false

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
    this.#handledThen = this.#handled
    this.#budget.begin()
  }

  /** The actors that are tapped. */
  get refs(): readonly ActorRef<never>[] {
    return this.#refs
  }

  /** Takes the taps away. */
  end(): void {
    this.#budget.end()
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
      sampling: this.#sampling(),
      actors: this.#connection === undefined ? actors : [CLIENT, ...actors],
      ...(ended && { ended }),
    }
  }

  /** Of so many messages one was heard, since this was last asked. */
  #sampling(): number {
    const [handled, heard] = [this.#handled - this.#handledThen, this.#heardOf]
    const sampling = this.#cut ? Math.max(1, Math.round((handled / Math.max(1, heard)) * 10) / 10) : 1
    this.#handledThen += handled
    this.#heardOf = 0
    this.#cut = false
    return sampling
  }

  /** Messages handled so far, of those whose share is told. */
  get #handled(): number {
    const counted = this.#connection === undefined ? this.#refs : this.#refs.slice(0, 1)
    return counted.reduce((sum, { handled }) => sum + handled, 0)
  }

  #tap(): (() => void)[] {
    const connection = this.#connection
    return this.#refs.map(ref => {
      const hear = (turn: Turn): void => this.#turn(ref, turn)
      if (connection === undefined) return ref.tap(hear)
      // Of the router and the services, which serve all, nothing is measured of what others send.
      const isOwn = (ref as unknown) === connection.ref
      return ref.tap(
        hear,
        isOwn
          ? message => (message as { type?: unknown }).type !== 'tick'
          : message => (message as { connection?: unknown }).connection === connection,
      )
    })
  }

  #turn(ref: ActorRef<never>, turn: Turn): void {
    if (this.#connection === undefined || ref === this.#refs[0]) this.#heardOf++
    if (this.#budget.heard()) this.#cut = true
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
