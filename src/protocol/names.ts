/** Names that a service may not have: properties that promises and classes look for. */
const RESERVED = new Set(['then', 'constructor', 'prototype'])

/** Whether a text may be a service's name: 1–12 characters, `[a-z][a-z0-9_-]*`, not reserved. */
export function isServiceName(name: unknown): name is string {
  return typeof name === 'string' && /^[a-z][a-z0-9_-]{0,11}$/.test(name) && !RESERVED.has(name)
}

/** Characters in the longest name of a channel, an event or a room. */
export const MAX_NAME = 256

/** Whether a text may name a channel, an event or a room: 1–256 characters, none a control character. */
export function isName(name: unknown): name is string {
  return typeof name === 'string' && name !== '' && name.length <= MAX_NAME && !/\p{Cc}/u.test(name)
}
