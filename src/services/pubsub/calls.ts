import { createHash } from 'node:crypto'
import type { HistoryOptions, Position } from '../../engines/log.js'
import { SocketStreamError } from '../../errors.js'
import { type Filter, readFilter } from './filters.js'
import { checkName, invalid } from './names.js'

/** What a client calls for, checked. */
export type ChannelCall =
  | {
      readonly method: 'publish'
      readonly channel: string | undefined
      readonly event: string
      readonly args: readonly unknown[]
      readonly key?: string
    }
  | {
      readonly method: 'subscribe'
      readonly channel: string
      readonly since: Position | undefined
      /** Because the server has subscribed it, which is then the only reason. */
      readonly told: boolean
      readonly filter: Filter | undefined
      /** Whether it begins with the application's state. */
      readonly state: boolean
    }
  | { readonly method: 'unsubscribe'; readonly channel: string }
  | { readonly method: 'history'; readonly channel: string; readonly options: HistoryOptions }

/** Most entries of one page of a history. */
const MAX_PAGE = 1000

/**
 * Checks `['publish', channel, event, ...args]`, where null for a channel means all clients.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS`, `UNKNOWN_METHOD`
 */
export function readPublish(message: unknown): ChannelCall & { method: 'publish' } {
  const [method, channel, event, ...args] = listOf(message)
  if (method !== 'publish') {
    throw new SocketStreamError('UNKNOWN_METHOD', "The only method of this service is 'publish'")
  }
  return {
    method,
    channel: channel === null || channel === undefined ? undefined : checkName(channel, 'channel'),
    event: checkName(event, 'event'),
    args,
  }
}

/**
 * Checks a call to a service that has `channels`.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS`, `UNKNOWN_METHOD`
 */
export function readCall(message: unknown): ChannelCall {
  const [method, ...args] = listOf(message)
  switch (method) {
    case 'publish':
      return readPublish(message)
    case 'once': {
      const [key, ...publication] = args
      if (typeof key === 'string' && key !== '' && key.length <= 256) {
        return { ...readPublish(['publish', ...publication]), key }
      }
      throw invalid('A key is a string of 1 to 256 characters')
    }
    case 'subscribe':
      return {
        method,
        channel: checkName(args[0], 'channel'),
        since: positionOf(args[1]),
        told: args[2] === true,
        ...subscribeOptions(args[2]),
      }
    case 'unsubscribe':
      return { method, channel: checkName(args[0], 'channel') }
    case 'history':
      return { method, channel: checkName(args[0], 'channel'), options: pageOf(args[1]) }
    default:
      throw new SocketStreamError(
        'UNKNOWN_METHOD',
        "The methods of this service are 'publish', 'once', 'subscribe', 'unsubscribe' and 'history'",
      )
  }
}

/** A client's key, which nobody else can use up. */
export function keyOf(sessionId: string, key: string): string {
  return createHash('sha256').update(`${sessionId}\0${key}`).digest('base64url')
}

function listOf(message: unknown): unknown[] {
  if (Array.isArray(message)) return message
  throw invalid("A call is an array: ['publish', channel, event, ...args]")
}

function positionOf(value: unknown): Position | undefined {
  if (value === null || value === undefined) return undefined
  const [epoch, offset] = Array.isArray(value) ? value : []
  if (typeof epoch === 'string' && epoch.length <= 256 && Number.isSafeInteger(offset) && offset >= 0) {
    return { epoch, offset }
  }
  throw invalid('A position is [epoch, offset]')
}

function subscribeOptions(value: unknown): { filter: Filter | undefined; state: boolean } {
  const { filter, state = false } = (value ?? {}) as Record<string, unknown>
  if (typeof state !== 'boolean') throw invalid('`state` of a subscription is true or false')
  return { filter: readFilter(filter), state }
}

function pageOf(value: unknown): HistoryOptions {
  const { since, limit = MAX_PAGE, reverse = false } = (value ?? {}) as Record<string, unknown>
  if (!Number.isSafeInteger(limit) || (limit as number) < 1 || typeof reverse !== 'boolean') {
    throw invalid('A page is { since: [epoch, offset], limit, reverse }')
  }
  const from = positionOf(since)
  return { limit: Math.min(limit as number, MAX_PAGE), reverse, ...(from && { since: from }) }
}
