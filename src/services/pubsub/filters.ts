import { SocketStreamError } from '../../errors.js'
import { invalid } from './names.js'

/** Tags of a publication, which filters look at. */
export type Tags = Readonly<Record<string, string>>

/**
 * Which publications are wanted, by their tags: all that stands in it must fit.
 *
 * A tag fits when it has the value, or one of the values. `and` wants all of its filters, `or` one, `not` none.
 *
 * @example
 * { severity: ['high', 'critical'], not: { region: 'eu' } }
 */
export type TagFilter = {
  readonly [tag: string]: string | readonly string[] | readonly TagFilter[] | TagFilter
}

/** A filter that was read. */
export interface Filter {
  /** The same for filters that are the same. */
  readonly key: string
  matches(tags: Tags | undefined): boolean
}

type Test = (tags: Tags) => boolean

const WORDS = ['and', 'or', 'not']
const MAX_CHARACTERS = 1024
const MAX_DEPTH = 4
const MAX_TAGS = 16
const MAX_TAG = 64
const NO_TAGS: Tags = {}

/** Reads the filter of a subscription. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function readFilter(value: unknown): Filter | undefined {
  if (value === null || value === undefined) return undefined
  // Depth first: what is nested deeper than the stack is refused before it is written out.
  const test = compile(value, MAX_DEPTH)
  const key = JSON.stringify(value, sorted)
  if (key.length > MAX_CHARACTERS) throw wrongFilter()
  return { key, matches: (tags = NO_TAGS) => test(tags) }
}

/** Passes on the tags of a publication. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkTags(tags: Tags | undefined): Tags | undefined {
  if (tags === undefined) return undefined
  const entries =
    tags !== null && typeof tags === 'object' && !Array.isArray(tags) ? Object.entries(tags) : []
  const right = entries.every(
    ([tag, value]) => !WORDS.includes(tag) && isShort(tag) && typeof value === 'string' && isShort(value),
  )
  if (entries.length > 0 && entries.length <= MAX_TAGS && right) return tags
  throw invalid(
    `Tags are an object of 1 to ${MAX_TAGS} strings, as in { severity: 'high' }: names and values of 1 to ${MAX_TAG} characters, no name 'and', 'or' or 'not'`,
  )
}

/** The error for a channel that has too many filters. */
export function tooManyFilters(most: number): SocketStreamError {
  return new SocketStreamError('OVERLOADED', `${most} different filters are in use on this channel`)
}

function compile(value: unknown, depth: number): Test {
  if (depth === 0 || value === null || typeof value !== 'object' || Array.isArray(value)) throw wrongFilter()
  const tests = Object.entries(value).map(([name, wanted]): Test => {
    if (name === 'not') {
      const inner = compile(wanted, depth - 1)
      return tags => !inner(tags)
    }
    if (name === 'and' || name === 'or') {
      if (!Array.isArray(wanted) || wanted.length === 0 || wanted.length > MAX_CHARACTERS) throw wrongFilter()
      const inner = wanted.map(each => compile(each, depth - 1))
      return name === 'and' ? tags => inner.every(test => test(tags)) : tags => inner.some(test => test(tags))
    }
    const values: unknown = typeof wanted === 'string' ? [wanted] : wanted
    if (!isShort(name) || !Array.isArray(values) || values.length > MAX_CHARACTERS) throw wrongFilter()
    if (!values.every(each => typeof each === 'string')) throw wrongFilter()
    return tags => Object.hasOwn(tags, name) && values.includes(tags[name]!)
  })
  if (tests.length === 0) throw wrongFilter()
  return tags => tests.every(test => test(tags))
}

function isShort(text: string): boolean {
  return text.length > 0 && text.length <= MAX_TAG
}

/** Objects with their names in order, so that the order in which they were written makes no difference. */
function sorted(_name: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function wrongFilter(): SocketStreamError {
  return invalid(
    `A filter is an object such as { severity: ['high', 'critical'], not: { region: 'eu' } }: up to ${MAX_CHARACTERS} characters as JSON and ${MAX_DEPTH} deep, with strings only`,
  )
}
