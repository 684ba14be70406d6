import type { ActorDetail, ActorPage } from './actors.js'
import type { ChannelRow, ConnectionRow, DeadLetterRow, LogRow, Page, SessionRow } from './lists.js'
import type { Hello, Overview } from './overview.js'
import type { ServiceRow } from './services.js'
import type { TraceEvent, TraceOptions } from './streams.js'

/** A recording of a trace: made by the page of what it got, opened by it without a server. */
export interface TraceFile {
  readonly kind: 'socketstream-trace'
  readonly protocol: number
  readonly recordedAt: number
  readonly hello: Hello
  readonly options: TraceOptions
  readonly actors: readonly string[]
  readonly events: readonly TraceEvent[]
  readonly dropped: number
  /** What the actors were like at the end, as far as was asked. */
  readonly details: readonly ActorDetail[]
}

export interface SnapshotFile {
  readonly kind: 'socketstream-snapshot'
  readonly protocol: number
  readonly takenAt: number
  readonly hello: Hello
  readonly overview: Overview
  /** At most 10,000. */
  readonly actors: ActorPage
  readonly services: readonly ServiceRow[]
  readonly channels: Page<ChannelRow>
  readonly connections: Page<ConnectionRow>
  readonly sessions: Page<SessionRow>
  readonly deadLetters: Page<DeadLetterRow>
  readonly log: Page<LogRow>
}
