import { SocketStreamError } from '../../errors.js'

const MAX_NAME = 256
/** Bytes of UTF-8 in the longest name of an engine's channel. */
const MAX_ENGINE_NAME = 512

/** Passes on the name of a channel or event. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkName(name: unknown, what: 'channel' | 'event'): string {
  if (typeof name === 'string' && name !== '' && name.length <= MAX_NAME && !/\p{Cc}/u.test(name)) return name
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

/** The error for an argument that cannot be. */
export function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message)
}
