import { checkBytes, checkName, checkTtl, checkWhole, invalid } from './checks.js'
import type { HistoryOptions, LogHandler, Position, PublishOptions, SubscribeOptions } from './log.js'

/** Entries of a page or of a recovery, unless the caller says otherwise. */
export const DEFAULT_LIMIT = 1000
/** Milliseconds that the position of an idempotency key is remembered. */
export const KEY_TTL = 5 * 60_000

/** How a publication is kept, with nothing left open. */
export interface Retention {
  readonly size: number
  /** Infinite when size alone bounds. */
  readonly ttl: number
  readonly key: string | undefined
}

/** The arguments of `publish`. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkPublish(channel: string, payload: Uint8Array, options: PublishOptions): Retention {
  checkName('channel', channel)
  checkBytes('payload', payload)
  const { size = 0, ttl, key } = options
  checkWhole('size', size, 0)
  if (ttl !== undefined) checkTtl(ttl)
  if (key !== undefined) checkName('idempotency key', key)
  return { size, ttl: ttl ?? Number.POSITIVE_INFINITY, key }
}

/** The arguments of `subscribe`. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkSubscribe(channel: string, handler: LogHandler, options: SubscribeOptions) {
  checkName('channel', channel)
  if (typeof handler?.entry !== 'function' || typeof handler.gap !== 'function') {
    throw invalid('The handler must have the methods `entry` and `gap`')
  }
  return {
    since: checkSince(options.since),
    limit: checkLimit(options.limit),
    latest: options.latest === true,
  }
}

/** The arguments of `history`. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkHistory(channel: string, options: HistoryOptions) {
  checkName('channel', channel)
  return {
    since: checkSince(options.since),
    limit: checkLimit(options.limit),
    reverse: options.reverse === true,
  }
}

function checkLimit(limit = DEFAULT_LIMIT): number {
  checkWhole('limit', limit, 1)
  return limit
}

function checkSince(since: Position | undefined): Position | undefined {
  if (since === undefined) return undefined
  if (typeof since?.epoch !== 'string') throw invalid('`since` must be a position, { epoch, offset }')
  checkWhole('since.offset', since.offset, 0)
  return since
}
