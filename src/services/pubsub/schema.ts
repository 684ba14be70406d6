import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SocketStreamError } from '../../errors.js'
import { invalidArguments, isSchema } from '../../protocol/issues.js'
import { invalid } from './names.js'

/**
 * What may be published: a Standard Schema for `[event, ...args]`, or one for the arguments by event.
 *
 * Schemas must answer at once, as those that wait would change the order of publications.
 */
export type ChannelSchema = StandardSchemaV1 | Readonly<Record<string, StandardSchemaV1>>

/** Gives the message to publish, `[event, ...args]`. @throws SocketStreamError `INVALID_ARGUMENTS` */
export type CheckMessage = (event: string, args: readonly unknown[]) => unknown[]

/** Without a schema everything passes. */
export const unchecked: CheckMessage = (event, args) => [event, ...args]

/** Whether something is a schema, or a table of schemas. */
export function isChannelSchema(value: unknown): value is ChannelSchema {
  if (isSchema(value)) return true
  return typeof value === 'object' && value !== null && Object.values(value).every(isSchema)
}

/** Makes the check by a schema. What the schema makes of the arguments is published. */
export function checkBySchema(schema: ChannelSchema): CheckMessage {
  if (isSchema(schema)) {
    return (event, args) => {
      const message = validate(schema, [event, ...args])
      if (typeof message[0] === 'string') return message
      throw new SocketStreamError('INVALID_OPTION', 'A schema must leave the event the first of the list')
    }
  }
  return (event, args) => {
    if (!Object.hasOwn(schema, event)) throw invalid(`The channel has no event '${event}'`)
    return [event, ...validate(schema[event]!, args)]
  }
}

function validate(schema: StandardSchemaV1, list: readonly unknown[]): unknown[] {
  const result = schema['~standard'].validate(list)
  if (result instanceof Promise) {
    result.catch(() => undefined)
    throw new SocketStreamError('INVALID_OPTION', 'A schema of a channel must not be asynchronous')
  }
  if (result.issues) throw invalidArguments(result.issues)
  if (Array.isArray(result.value)) return result.value
  throw new SocketStreamError('INVALID_OPTION', 'A schema of a channel must give a list')
}
