import { SocketStreamError } from '../../errors.js'
import { type Plain, plain } from './plain.js'
import { checkId, type Edit } from './writer.js'

/** What a client asks for. */
export type ModelCall =
  | ({
      readonly method: 'watch'
      readonly watch: number
      readonly query: string
      readonly params: unknown
    } & Window)
  | { readonly method: 'unwatch'; readonly watch: number }
  | { readonly method: 'get' | 'leave' | 'fetch'; readonly id: string }
  | { readonly method: 'create'; readonly record: unknown }
  | {
      readonly method: 'update'
      readonly id: string
      readonly version: number | undefined
      readonly edit: Edit
    }
  | { readonly method: 'remove'; readonly id: string; readonly version: number | undefined }

/** Which records of a result are shown. */
export interface Window {
  readonly offset: number
  readonly limit: number
}

/** Properties that one update may take away. */
const MAX_UNSET = 1000

/** Reads a call. @throws SocketStreamError `INVALID_ARGUMENTS`, `UNKNOWN_METHOD` */
export function readCall(message: unknown): ModelCall {
  const [method, ...args] = Array.isArray(message) ? message : []
  switch (method) {
    case 'watch': {
      const [watch, query, params, offset, limit] = args
      if (typeof query !== 'string') throw invalid('The name of a query is a string')
      return {
        method,
        watch: whole('watch', watch, 1),
        query,
        params,
        offset: whole('offset', offset, 0),
        limit: whole('limit', limit, 1),
      }
    }
    case 'unwatch':
      return { method, watch: whole('watch', args[0], 1) }
    case 'get':
    case 'leave':
    case 'fetch':
      return { method, id: checkId(args[0]) }
    case 'create':
      return { method, record: args[0] }
    case 'update':
      return { method, id: checkId(args[0]), version: versionOf(args[1]), edit: readEdit(args[2], args[3]) }
    case 'remove':
      return { method, id: checkId(args[0]), version: versionOf(args[1]) }
  }
  const methods = "'watch', 'unwatch', 'get', 'leave', 'fetch', 'create', 'update' and 'remove'"
  throw new SocketStreamError('UNKNOWN_METHOD', `The methods of this service are ${methods}`)
}

/** Checks what is to become of a record. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function readEdit(set: unknown, unset: unknown): Edit {
  const names = unset ?? []
  if (!Array.isArray(names) || names.length > MAX_UNSET || !names.every(name => typeof name === 'string')) {
    throw invalid(`What is taken away is a list of up to ${MAX_UNSET} names of properties`)
  }
  const copy: Plain = plain(set)
  return { set: copy, unset: names }
}

function versionOf(version: unknown): number | undefined {
  return version === 0 || version === null || version === undefined ? undefined : whole('version', version, 1)
}

function whole(what: string, value: unknown, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number
  throw invalid(`The ${what} is a whole number from ${least}`)
}

function invalid(text: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', text)
}
