import { SocketStreamError } from '../../errors.js'
import { isName, MAX_NAME } from '../../protocol/names.js'

/** Bytes of UTF-8 in the longest name of an engine's channel. */
const MAX_ENGINE_NAME = 512

/** Passes on the name of a channel or event. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkName(name: unknown, what: 'channel' | 'event'): string {
  if (isName(name)) return name
  throw invalid(
    `The name of ${what === 'event' ? 'an event' : 'a channel'} is a string of 1 to ${MAX_NAME} characters, none of them a control character`,
  )
}

/** The name that an engine knows a channel by. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function engineName(service: string, channel: string): string {
  const name = `${service}:${channel}`
  if (Buffer.byteLength(name) <= MAX_ENGINE_NAME && !/\p{Surrogate}/u.test(name)) return name
  throw invalid(
    `The name of a channel with history has at most ${MAX_ENGINE_NAME - service.length - 1} bytes, and whole characters only`,
  )
}

/** What is sent of an event: `[event, ...args]`. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function toMessage(event: string, args: readonly unknown[]): unknown[] {
  return [checkName(event, 'event'), ...args]
}

/** The error for an argument that cannot be. */
export function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message)
}
