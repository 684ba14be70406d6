import type { ActorRef } from '../actors/runtime/index.js'
import type { Turn } from '../actors/runtime/tap.js'
import type { Watched } from './actor-rows.js'
import { SAMPLE } from './actor-rows.js'
import { Selections } from './actor-selection.js'
import { percentile } from './method-counts.js'
import {
  BUCKETS,
  type DeadLetterRow,
  type LifecycleEvent,
  type LogRow,
  type Statechart,
  type TraceEvent,
} from './protocol/index.js'
import { Rates } from './rates.js'
import { pathOf, type Subject } from './source.js'
import { activeOf } from './statechart.js'
import { Tail } from './tail.js'

const LIFECYCLE = 1000
const LETTERS = 500
const LINES = 1000
/** Actors whose beginning is remembered. */
const BEGINNINGS = 100_000
/** Messages of one tapped actor that are remembered. */
const EVENTS = 200

/** What is remembered of a tapped actor. */
interface Tapped {
  readonly events: Tail<TraceEvent>
  readonly histogram: number[]
  taps: number
  active: readonly string[]
  last: Statechart['last']
}

/** What happens while somebody watches, as far as it is remembered: all of it bounded. */
export class Memory implements Watched {
  readonly rates = new Rates(SAMPLE)
  readonly selections = new Selections()
  readonly lifecycle = new Tail<LifecycleEvent>(LIFECYCLE)
  readonly deadLetters = new Tail<DeadLetterRow>(LETTERS)
  readonly log = new Tail<LogRow>(LINES)
  readonly #subject: Subject
  readonly #since = new Map<string, number>()
  readonly #tapped = new Map<string, Tapped>()
  #ends: (() => void)[] = []

  constructor(subject: Subject) {
    this.#subject = subject
  }

  /**
   * Attaches itself to all that it hears.
   *
   * @param failed is called for each log line of level `error`
   * @param news is called with whatever is new
   */
  begin(failed: () => void, news: () => void): void {
    const { broker, logs, redact } = this.#subject
    const { system } = broker
    let walking = true
    this.#ends = [
      logs.listen((level, name, message, details) => {
        if (level === 'error') failed()
        const shown = details === undefined ? {} : { details: redact(details) }
        this.log.push({ at: Date.now(), level, name, message: message.slice(0, 2000), ...shown })
        news()
      }),
      system.deadLetters.subscribe(({ to, from, type, reason }, message) => {
        const payload = redact(payloadOf(message))
        this.deadLetters.push({
          at: Date.now(),
          to,
          ...(from !== undefined && { from }),
          type,
          reason,
          payload,
        })
        news()
      }),
      system.subscribe('/', ({ type, path }) => {
        if (walking) return
        this.lifecycle.push({ at: Date.now(), type, path: path || '/' })
        news()
        if (type === 'disappeared') this.#since.delete(path)
        else if (this.#since.size < BEGINNINGS) this.#since.set(path, Date.now())
      }),
      () => {
        system.observer = undefined
      },
    ]
    walking = false
    system.observer = event => {
      if (event.type === 'stopped') return
      news()
      const at = Date.now()
      if (event.type === 'restarted') return this.lifecycle.push({ at, type: 'restarted', path: event.path })
      const { path, action, error, messageType } = event
      const shown = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
      this.lifecycle.push({
        at,
        type: 'crashed',
        path: path || '/',
        action,
        error: shown.slice(0, 500),
        ...(messageType !== undefined && { messageType }),
      })
    }
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end()
    this.rates.clear()
    this.selections.clear()
    this.#since.clear()
    this.lifecycle.clear()
    this.deadLetters.clear()
    this.log.clear()
  }

  since(path: string): number | undefined {
    return this.#since.get(path)
  }

  // ---- tapped actors ----------------------------------------------------------------------------

  /** One more trace taps these; returns what ends it. */
  tapping(refs: readonly ActorRef<never>[]): () => void {
    for (const ref of refs) {
      const path = pathOf(ref)
      const tapped = this.#tapped.get(path)
      if (tapped !== undefined) tapped.taps++
      else {
        const histogram = new Array<number>(BUCKETS.length + 1).fill(0)
        this.#tapped.set(path, {
          events: new Tail(EVENTS),
          histogram,
          taps: 1,
          active: activeOf(ref),
          last: undefined,
        })
      }
    }
    return () => {
      for (const ref of refs) {
        const tapped = this.#tapped.get(pathOf(ref))
        if (tapped !== undefined && --tapped.taps === 0) this.#tapped.delete(pathOf(ref))
      }
    }
  }

  /** A tapped actor has handled a message. */
  heard(ref: ActorRef<never>, { took, message }: Turn, event: TraceEvent): void {
    const tapped = this.#tapped.get(pathOf(ref))
    if (tapped === undefined) return
    const bucket = BUCKETS.findIndex(bound => took <= bound)
    tapped.histogram[bucket === -1 ? BUCKETS.length : bucket]!++
    tapped.events.push(event)
    const active = activeOf(ref)
    if (active.join() === tapped.active.join()) return
    const type = String((message as { type?: unknown }).type ?? 'message')
    tapped.last = { at: Date.now(), event: type, from: tapped.active, to: active }
    tapped.active = active
  }

  p99(path: string): number | undefined {
    const tapped = this.#tapped.get(path)
    return tapped && percentile(tapped.histogram, 0.99)
  }

  /** Newest first. */
  eventsOf(path: string): readonly TraceEvent[] {
    return this.#tapped.get(path)?.events.all().reverse() ?? []
  }

  lastChange(path: string): Statechart['last'] {
    return this.#tapped.get(path)?.last
  }

  /** Newest first. */
  lifecycleOf(path: string, most: number): readonly LifecycleEvent[] {
    return this.lifecycle
      .all()
      .reverse()
      .filter(event => event.path === path)
      .slice(0, most)
  }
}

/** Of a request what the client sent; of other messages their own properties. */
function payloadOf(message: object): unknown {
  try {
    const { message: payload, connection } = message as { message?: unknown; connection?: unknown }
    if (payload !== undefined && connection !== undefined) return payload
  } catch {
    return '(unreadable)'
  }
  return { ...message }
}
