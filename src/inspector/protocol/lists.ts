import type { Json } from './json.js'

export interface ListQuery {
  /** Part of what the rows show, any case. */
  readonly search?: string
  /** Of one service, for channels. */
  readonly service?: string
  readonly offset?: number
  readonly limit?: number
}

export interface LogQuery extends ListQuery {
  /** At least this. Default `debug`. */
  readonly level?: LogLevelName
}

export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly total: number
  readonly offset: number
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error'

export interface ConnectionRow {
  readonly id: string
  /** The path of its actor. */
  readonly path: string
  readonly state: string
  readonly transport: string
  readonly codec?: string
  readonly address: string
  readonly secure: boolean
  readonly session?: string
  readonly user?: string
  readonly rooms: readonly string[]
  /** Counted messages, in and out: the resume positions. */
  readonly received: number
  readonly sent: number
  /** On its socket, where the transport knows. */
  readonly bytesIn?: number
  readonly bytesOut?: number
  /** Messages waiting in its mailbox. */
  readonly depth: number
  /** Bytes that wait in the link because the client does not read. */
  readonly queued: number
  /** Whether the client does not read, or is not read from because too much waits. */
  readonly slow: boolean
  readonly paused: boolean
  /** Milliseconds from the last ping to its answer; left out before the first, and on wires without pings. */
  readonly rtt?: number
  /** Left out when it cannot be resumed. */
  readonly resume?: {
    /** Bytes kept for the client. */
    readonly bytes: number
    readonly acknowledged: number
    /** Since when the client is away. */
    readonly awaySince?: number
  }
}

export interface SessionRow {
  readonly id: string
  readonly path: string
  readonly user?: string
  readonly connections: readonly string[]
  readonly stored: boolean
  readonly expires?: number
  readonly data: Json
}

export interface ChannelRow {
  readonly service: string
  readonly name: string
  /** Connections subscribed on this server. */
  readonly subscribers: number
  /** Of a channel with a history. */
  readonly history?: { readonly epoch: string; readonly offset: number }
}

export interface DeadLetterRow {
  /** Left out of those from before somebody watched. */
  readonly at?: number
  readonly to: string
  readonly from?: string
  readonly type: string
  readonly reason: string
  readonly payload?: Json
}

export interface LogRow {
  readonly at: number
  readonly level: LogLevelName
  /** Who says it: `socketstream`, `transport`, or the name of a service. */
  readonly name: string
  readonly message: string
  readonly details?: Json
}
