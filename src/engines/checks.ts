import { SocketStreamError } from '../errors.js'
import type { KeyValue, WriteOptions } from './key-value.js'

/** Bytes of UTF-8 in the longest name. */
const MAX_NAME = 512
/** Bytes in the largest value or payload: 16 MiB. */
const MAX_BYTES = 16 * 1024 * 1024

/** Places of one call. */
export const MAX_PLACES = 1000

/** What one option of an engine must be, and how to write it rightly. */
export interface OptionRule {
  test(value: unknown): boolean
  /** The values allowed, as in `a path`. */
  readonly wants: string
  /** The option written rightly, as in `path: './data'`. */
  readonly fix: string
}

/** Refuses unknown options and wrong values. @throws SocketStreamError `INVALID_OPTION` */
export function checkOptions(factory: string, options: object, rules: Record<string, OptionRule>): void {
  const names = Object.keys(rules).join(', ')
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue
    const text = `${factory}: there is no option \`${name}\`; the options are ${names}`
    throw new SocketStreamError('INVALID_OPTION', text)
  }
  for (const [name, { test, wants, fix }] of Object.entries(rules)) {
    if (test((options as Record<string, unknown>)[name])) continue
    const text = `${factory}: option \`${name}\` must be ${wants}, as in ${factory}({ ${fix} })`
    throw new SocketStreamError('INVALID_OPTION', text)
  }
}

/** The bytes of a name. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkName(what: string, name: string): Buffer {
  const bytes = utf8(what, name)
  if (bytes.length >= 1 && bytes.length <= MAX_NAME) return bytes
  throw invalid(`The ${what} has ${bytes.length} bytes; give 1 to ${MAX_NAME}`)
}

/** Refuses what are no names of places, or too many. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkPlaces(places: readonly string[]): void {
  if (!Array.isArray(places) || places.length > MAX_PLACES) {
    throw invalid(`The places must be a list of at most ${MAX_PLACES}; give more in several calls`)
  }
  for (const place of places) checkName('place', place)
}

/** Whether a text is short enough for a name, and of whole characters. */
export function isShort(name: string): boolean {
  return Buffer.byteLength(name) <= MAX_NAME && !/\p{Surrogate}/u.test(name)
}

/** Refuses what is no bytes, or too many. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkBytes(what: string, bytes: Uint8Array): void {
  if (!(bytes instanceof Uint8Array)) throw invalid(`The ${what} must be a Uint8Array; encode it first`)
  if (bytes.length <= MAX_BYTES) return
  throw invalid(`The ${what} has ${bytes.length} bytes; give at most ${MAX_BYTES}`)
}

/** Refuses what is no whole number in a range. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkWhole(what: string, value: unknown, least: number): void {
  if (isWhole(value, least)) return
  throw invalid(`\`${what}\` must be a whole number, at least ${least}`)
}

/** Refuses a time to live. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkTtl(ttl: unknown): void {
  if (!isWhole(ttl, 1)) throw invalid('`ttl` must be a whole number of milliseconds, at least 1')
}

/** Refuses wrong conditions of a write. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkWrite({ ifVersion = 0, ttl = 1 }: WriteOptions): void {
  if (!isWhole(ifVersion, 0)) throw invalid('`ifVersion` must be a whole number, 0 for none')
  checkTtl(ttl)
}

/** The range of a listing, with its defaults, as bytes. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkRange({ prefix = '', after = '', limit = 1000 }: Parameters<KeyValue['keys']>[0] = {}) {
  checkWhole('limit', limit, 1)
  return { prefix: utf8('prefix', prefix), after: utf8('after', after), limit }
}

/** Refuses to write over another version. @throws SocketStreamError `ENGINE_CONFLICT` */
export function checkVersion(key: string, standing: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === standing) return
  const text = `The key '${key}' is at version ${standing}, not ${wanted}; read it again, then write`
  throw new SocketStreamError('ENGINE_CONFLICT', text)
}

/** The error of an engine that cannot be used. */
export function unavailable(text: string, cause?: unknown): SocketStreamError {
  return new SocketStreamError('ENGINE_UNAVAILABLE', text, cause === undefined ? {} : { cause })
}

function utf8(what: string, text: string): Buffer {
  // Half a character has no UTF-8: two such keys would be one.
  if (typeof text === 'string' && !/\p{Surrogate}/u.test(text)) return Buffer.from(text)
  throw invalid(`The ${what} must be a string of whole characters`)
}

/** Whether a value is a whole number, at least `least` and at most `most`. */
export function isWhole(value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

/** The error for an argument that cannot be. */
export function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message, { data: { issues: [{ message }] } })
}
