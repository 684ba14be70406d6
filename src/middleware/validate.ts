import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SocketStreamError } from '../errors.js'
import { invalidArguments, isSchema } from '../protocol/issues.js'
import { isThenable } from '../thenable.js'
import type { Middleware } from './middleware.js'
import { serviceTable } from './service-table.js'

/** Schemas of the arguments by method, for services whose messages are `[method, ...args]`. */
export type MethodSchemas = Readonly<Record<string, StandardSchemaV1<unknown, readonly unknown[]>>>

/** By service: a schema of its messages, or schemas by method. */
export type ValidateSchemas = Readonly<Record<string, StandardSchemaV1 | MethodSchemas>>

/** What goes on in a message's place, or a promise of it. */
type Check = (message: unknown) => unknown

/**
 * Checks messages and calls with Standard Schemas; what does not fit is `INVALID_ARGUMENTS`.
 *
 * The service gets what the schema makes of the message. The error has `data.issues`, a list of
 * `{ message, path }`. What is not listed passes unchecked, and so do subscribes; `*` is for services, and
 * for methods, that are not listed. Schemas may be asynchronous.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * app.use(validate({
 *   chat: z.object({ text: z.string().max(500) }),
 *   rpc: { 'rooms.join': z.tuple([z.string()]) },
 * }))
 */
export function validate(schemas: ValidateSchemas): Middleware {
  const checkOf = serviceTable(
    'validate()',
    schemas,
    readCheck,
    'a Standard Schema, or a table of them by method',
  )
  return (req, _res, next) => {
    const check = req.kind === 'subscribe' ? undefined : checkOf(req.service)
    if (check === undefined) return next()
    const pass = (message: unknown): void => {
      req.message = message
      next()
    }
    const checked = check(req.message)
    return isThenable(checked) ? checked.then(pass) : pass(checked)
  }
}

function readCheck(entry: unknown): Check | undefined {
  if (isSchema(entry)) return message => run(entry, message, made => made)
  if (entry === null || typeof entry !== 'object') return undefined
  const schemas = new Map(Object.entries(entry))
  return [...schemas.values()].every(isSchema) ? methodCheck(schemas) : undefined
}

function methodCheck(schemas: ReadonlyMap<string, StandardSchemaV1>): Check {
  return message => {
    if (!Array.isArray(message) || typeof message[0] !== 'string') {
      throw new SocketStreamError('INVALID_ARGUMENTS', 'What is sent must be an array: [method, ...args]')
    }
    const [method, ...args] = message
    const schema = schemas.get(method) ?? schemas.get('*')
    return schema === undefined ? message : run(schema, args, made => [method, ...(made as unknown[])])
  }
}

function run(schema: StandardSchemaV1, value: unknown, use: (made: unknown) => unknown): unknown {
  const settle = (result: StandardSchemaV1.Result<unknown>): unknown => {
    if (result.issues) throw invalidArguments(result.issues)
    return use(result.value)
  }
  const result = schema['~standard'].validate(value)
  return isThenable(result) ? result.then(settle) : settle(result)
}
