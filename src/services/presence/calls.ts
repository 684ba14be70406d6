import { createHash } from 'node:crypto'
import { SocketStreamError } from '../../errors.js'
import { isName, MAX_NAME } from '../../protocol/names.js'
import type { Connection } from '../service.js'
import type { PagePart } from './api.js'
import type { PresenceSettings } from './options.js'

/** Members of one answer at the most. */
export const PAGE = 500
/** Characters in the longest name of a user. */
const MAX_USER = 200
/** Bytes of UTF-8 in the longest channel: what an engine takes, less the longest service and a colon. */
const MAX_CHANNEL = 512 - 13

/** The parts of a call. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function listOf(message: unknown): unknown[] {
  if (Array.isArray(message)) return message
  throw invalid("A call is an array: ['join', channel, meta]")
}

/** Passes on the name of a channel. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkName(channel: unknown): string {
  if (isName(channel) && Buffer.byteLength(channel) <= MAX_CHANNEL) return channel
  throw invalid(
    `The name of a channel is a string of 1 to ${MAX_NAME} characters and ${MAX_CHANNEL} bytes, none a control character`,
  )
}

/** Passes on the id of a device; undefined for none. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function deviceOf(device: unknown): string | undefined {
  if (device === undefined || device === null) return undefined
  if (typeof device === 'string' && /^[\w-]{8,32}$/.test(device)) return device
  throw invalid('A device is 8 to 32 letters, digits, _ and -, or left out')
}

/** Passes on which page is wanted. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function partOf({ after, limit }: { after?: unknown; limit?: unknown }): PagePart {
  const from = after === null || after === undefined ? undefined : after
  const most = limit === null || limit === undefined ? PAGE : limit
  if (
    (from === undefined || typeof from === 'string') &&
    Number.isSafeInteger(most) &&
    (most as number) > 0
  ) {
    return { after: from, limit: Math.min(most as number, PAGE) }
  }
  throw invalid('A page is { after: the `next` of the one before, limit: a whole number from 1 }')
}

/** Whose a connection is, for all who may list. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function userOf(connection: Connection, { user }: PresenceSettings): string {
  const name = user === undefined ? (connection.userId ?? anonymous(connection)) : user(connection)
  if (isName(name) && name.length <= MAX_USER) return name
  throw invalid(`The name of a user is a string of 1 to ${MAX_USER} characters, none a control character`)
}

/** The error for an argument that cannot be. */
export function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message)
}

/** A name for who has none: the same for all connections of a session, and no way back to its id. */
function anonymous({ session }: Connection): string {
  return `~${createHash('sha256').update(`presence\n${session.id}`).digest('base64url').slice(0, 22)}`
}
