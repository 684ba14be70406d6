import { SocketStreamError } from '../errors.js'
import type { KeyValue, WriteOptions } from './engine.js'

/** Bytes of UTF-8 in the longest key. */
export const MAX_KEY = 512
/** Bytes in the largest value: 16 MiB. */
export const MAX_VALUE = 16 * 1024 * 1024

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

/** The bytes of a key. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkKey(key: string): Buffer {
  const bytes = utf8('key', key)
  if (bytes.length >= 1 && bytes.length <= MAX_KEY) return bytes
  throw invalid(`The key has ${bytes.length} bytes; give 1 to ${MAX_KEY}`)
}

/** Refuses what is no value. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkValue(value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw invalid('The value must be a Uint8Array; encode it first')
  if (value.length <= MAX_VALUE) return
  throw invalid(`The value has ${value.length} bytes; give at most ${MAX_VALUE}`)
}

/** Refuses wrong conditions of a write. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkWrite({ ifVersion = 0, ttl = 1 }: WriteOptions): void {
  if (!isWhole(ifVersion, 0)) throw invalid('`ifVersion` must be a whole number, 0 for none')
  if (!isWhole(ttl, 1)) throw invalid('`ttl` must be a whole number of milliseconds, at least 1')
}

/** The range of a listing, with its defaults, as bytes. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkRange({ prefix = '', after = '', limit = 1000 }: Parameters<KeyValue['keys']>[0] = {}) {
  if (!isWhole(limit, 1)) throw invalid('`limit` must be a whole number, at least 1')
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

function isWhole(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message, { data: { issues: [{ message }] } })
}
