import type { Json } from './json.js'
import type { DeadLetterRow, LogRow } from './lists.js'
import type { OverviewPoint, Totals } from './overview.js'

export interface WatchOptions {
  /** Counts methods as long as it is open. Default false. */
  readonly services?: boolean
}

/** What came since the item before. Rings are bounded: `dropped` counts what did not fit. */
export interface WatchItem {
  readonly point: OverviewPoint
  readonly totals: Totals
  readonly lifecycle: readonly LifecycleEvent[]
  readonly deadLetters: readonly DeadLetterRow[]
  readonly log: readonly LogRow[]
  readonly dropped: { readonly lifecycle: number; readonly deadLetters: number; readonly log: number }
}

/** One of the two: a connection's messages everywhere, or all messages of some actors (at most 32). */
export interface TraceOptions {
  readonly connection?: string
  readonly actors?: readonly string[]
}

/** A message that was handled. */
export interface TraceEvent {
  /** Ascends within one trace. */
  readonly seq: number
  readonly at: number
  /** Path of the actor that told it; `client` for what came in on the link; left out when it was none. */
  readonly from?: string
  /** Path of the actor that handled it; `client` for what was sent out on the link. */
  readonly to: string
  /** Its type, or its kind on the wire: `call rpc.add`, `reply`, `publication`, … */
  readonly label: string
  /** Milliseconds that its handler held the event loop; 0 for what was sent out. */
  readonly took: number
  /** Messages that waited behind it. */
  readonly depth: number
  /** The number of the call, to join what belongs together. */
  readonly call?: number
  readonly payload?: Json
  /** The handler threw. */
  readonly failed?: boolean
}

export interface TraceItem {
  readonly events: readonly TraceEvent[]
  /** Events that did not fit, since the item before. */
  readonly dropped: number
  /** Of so many messages one is shown; 1: all. */
  readonly sampling: number
  /** Columns: the actors that are tapped now, with `client` first where a connection is traced. */
  readonly actors: readonly string[]
  /** Its connection or all its actors have gone: no more will come. */
  readonly ended?: boolean
}

export interface LifecycleEvent {
  readonly at: number
  readonly type: 'appeared' | 'crashed' | 'restarted' | 'disappeared'
  readonly path: string
  /** Of a crash: what it leads to, the error, and the message in hand. */
  readonly action?: string
  readonly error?: string
  readonly messageType?: string
}
