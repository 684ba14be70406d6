import { SocketStreamError } from '../../errors.js'
import type { RpcContext } from './context.js'
import { isReserved } from './names.js'

/**
 * A method: gets the context, then the caller's arguments.
 *
 * It answers with what it returns or what its promise resolves to. An async iterable or a generator
 * is sent as a stream; arrays, sets and strings are values. What it throws is the caller's error.
 */
export type Handler = (ctx: RpcContext, ...args: never[]) => unknown

/** A table of methods; plain objects inside it are namespaces. */
export interface Handlers {
  readonly [name: string]: Handler | Handlers
}

/** A method found in a table, ready to be called on the object it stood in. */
export interface Method {
  readonly handler: (ctx: RpcContext, ...args: unknown[]) => unknown
  readonly owner: object
}

/**
 * Flattens a table of handlers to a map from dot path to method.
 *
 * Only own enumerable properties count; they are read once.
 *
 * @throws SocketStreamError `INVALID_OPTION` for a reserved name, an empty one, one with a dot, or
 *   anything that is neither a function nor a plain object
 */
export function resolveHandlers(table: unknown): Map<string, Method> {
  const methods = new Map<string, Method>()
  if (!isPlainObject(table)) {
    throw invalid(
      'rpc(handlers) takes a plain object of functions, such as rpc({ add: (ctx, a, b) => a + b })',
    )
  }
  collect(table, '', [], methods)
  return methods
}

/**
 * Checks the name of a method, namespace or file.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function checkName(name: string, place: string): void {
  if (isReserved(name)) {
    throw invalid(`rpc: the name '${name}' is reserved; rename ${place}`)
  }
  if (name === '' || name.includes('.')) {
    throw invalid(`rpc: a name is not empty and has no dot; rename ${place} (nest objects for a path)`)
  }
}

function collect(table: object, prefix: string, ancestors: object[], methods: Map<string, Method>): void {
  for (const [name, entry] of Object.entries(table) as [string, unknown][]) {
    const path = prefix + name
    checkName(name, `'${path}'`)
    if (typeof entry === 'function') {
      methods.set(path, { handler: entry as Method['handler'], owner: table })
    } else if (isPlainObject(entry) && entry !== table && !ancestors.includes(entry)) {
      collect(entry, `${path}.`, [...ancestors, table], methods)
    } else {
      throw invalid(`rpc: '${path}' must be a function, or a plain object of functions outside of itself`)
    }
  }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', message)
}
