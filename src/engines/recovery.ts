import type { HistoryPage, LogEntry, Position, RecoveryFailure, SubscribeOptions } from './log.js'

/** What an engine can give of a channel at one moment. */
export interface Kept {
  readonly epoch: string
  /** Offset of the last publication, 0 for none. */
  readonly top: number
  /** Offset before the oldest entry kept; `top` when none is. */
  readonly floor: number
  /** The entries past one offset, up to another, at most so many; fewer when they are too many bytes. */
  read(after: number, upTo: number, limit: number): LogEntry[]
  /** The same from the newest. */
  readBack(after: number, upTo: number, limit: number): LogEntry[]
}

/** How a subscription begins on what is kept. */
export function recover(
  kept: Kept,
  options: Required<Pick<SubscribeOptions, 'limit' | 'latest'>>,
  since?: Position,
) {
  const { epoch, top, floor } = kept
  const position = { epoch, offset: top }
  let reason: RecoveryFailure | undefined = since && failureOf(kept, since)
  if (since && reason === undefined && top - since.offset > options.limit) reason = 'limit'
  if (since && reason === undefined) {
    const entries = kept.read(since.offset, top, options.limit)
    if (entries.length === top - since.offset) return { position, recovered: true, entries }
    reason = 'limit'
  }
  const entries = options.latest && floor < top ? kept.read(top - 1, top, 1) : []
  return { position, recovered: false, entries, ...(reason && { reason }) }
}

/** One page of what is kept. */
export function page(kept: Kept, limit: number, reverse: boolean, since?: Position): HistoryPage {
  const { epoch, top, floor } = kept
  const position = { epoch, offset: top }
  const reason = since && failureOf(kept, since, reverse)
  if (reason) return { position, entries: [], complete: false, reason }
  if (reverse) {
    const upTo = since ? since.offset - 1 : top
    const entries = upTo > floor ? kept.readBack(floor, upTo, limit) : []
    return { position, entries, complete: upTo - entries.length <= floor }
  }
  const after = since?.offset ?? floor
  const entries = kept.read(after, top, limit)
  return { position, entries, complete: after + entries.length === top }
}

/** Why what follows a position, or in reverse precedes it, cannot be given. */
function failureOf(
  { epoch, top, floor }: Kept,
  since: Position,
  reverse = false,
): Exclude<RecoveryFailure, 'limit'> | undefined {
  if (since.epoch !== epoch) return 'epoch'
  if (since.offset > (reverse ? top + 1 : top)) return 'ahead'
  return since.offset < floor && !reverse ? 'trimmed' : undefined
}
