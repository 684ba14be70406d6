import type { Json } from './json.js'
import type { ConnectionRow } from './lists.js'
import type { Statechart } from './statechart.js'
import type { LifecycleEvent, TraceEvent } from './streams.js'

/**
 * - `root`, `router`, `sessions`, `supervisor`: the server's own
 * - `connection`, `session`, `service`: as they say
 * - `machine`: runs XState logic
 * - `behaviour`: any other
 */
export type ActorKind =
  | 'root'
  | 'router'
  | 'sessions'
  | 'supervisor'
  | 'connection'
  | 'session'
  | 'service'
  | 'machine'
  | 'behaviour'

/** `began`: the order of their beginning; `name`: by characters; the others are numbers, but `kind`. */
export type ActorSort =
  | 'began'
  | 'name'
  | 'kind'
  | 'depth'
  | 'rate'
  | 'p99'
  | 'handled'
  | 'bytes'
  | 'restarts'

/** A window of actors: the children of one, or with `deep` or a filter all below it as a flat list. */
export interface ActorQuery {
  /** Default `/`. */
  readonly parent?: string
  /** All below it, flat; implied by `search`. Default false. */
  readonly deep?: boolean
  /** Part of a path, session id, user or address, any case. */
  readonly search?: string
  readonly kind?: ActorKind
  /** Only those with at least this many waiting messages. */
  readonly minDepth?: number
  /** Default `began`. */
  readonly sort?: ActorSort
  /** Default false; numbers descend with true. */
  readonly descending?: boolean
  readonly offset?: number
  /** Default 100, at most `Hello.maxRows`. */
  readonly limit?: number
}

export interface ActorPage {
  readonly rows: readonly ActorRow[]
  /** Rows there are in all, of which this is a window. */
  readonly total: number
  readonly offset: number
  /** When the rates were taken; they are taken anew at most once in `every` milliseconds. */
  readonly sampledAt: number
  readonly every: number
}

export interface ActorRow {
  /** Its address, such as `/connections/ab12.xyz`. The root is `/`. */
  readonly path: string
  readonly name: string
  readonly kind: ActorKind
  /** Of a machine its state value, of a connection its state, in one line; else left out. */
  readonly state?: string
  /** Messages that wait. */
  readonly depth: number
  /** Messages handled since it began. */
  readonly handled: number
  /** Per second, since the sample before; left out where there is none. */
  readonly rate?: number
  /** 99 of 100 messages were handled in this many milliseconds; only while it is tapped. */
  readonly p99?: number
  readonly restarts: number
  /** Bytes that it is known to hold, see `ActorMemory`; left out where nothing is counted. */
  readonly bytes?: number
  /** When it began, if that was seen. */
  readonly since?: number
  /** Children it has. */
  readonly children: number
  /** For connections and sessions. */
  readonly user?: string
  readonly address?: string
  /** Whether it takes no messages just now: starts, or waits for its restart. */
  readonly waiting?: boolean
  /** What may be done with it; empty when read-only. */
  readonly actions: readonly ('close' | 'stop' | 'restart' | 'send')[]
}

export interface ActorDetail extends ActorRow {
  readonly parent?: string
  /** Who watches it. Counted only: watchers are functions. */
  readonly watchers: number
  readonly subscribers: number
  /** First ones, by path; all of them by `actors({ parent })`. */
  readonly childPaths: readonly string[]
  /** What it shows of its state, redacted and cut; left out where it shows nothing. */
  readonly snapshot?: Json
  readonly statechart?: Statechart
  readonly connection?: ConnectionRow
  /** Newest first, at most 200: what it was told, while a `trace` taps it. */
  readonly events: readonly TraceEvent[]
  /** Newest first, at most 50: crashes, restarts and the end, while somebody watched. */
  readonly lifecycle: readonly LifecycleEvent[]
  /** Left out where nothing is counted. */
  readonly memory?: ActorMemory
  readonly capacity: number
}

/** The bytes that an actor is known to hold: payloads and frames, whatever objects they are in. */
export interface ActorMemory {
  /** Of the parts that `ActorRow.bytes` has as well: all but `data`. */
  readonly bytes: number
  readonly parts: {
    /** Messages that wait in its mailbox, where that is bounded by bytes. */
    readonly mailbox?: number
    /** Of a connection: what its client has not read yet. */
    readonly queued?: number
    /** Of a connection: what was received and is not handled, as it is paused. */
    readonly held?: number
    /** Of a connection: what is kept for its client to come back. */
    readonly resume?: number
    /** Of a session: its data as JSON. */
    readonly data?: number
  }
}
