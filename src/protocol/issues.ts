import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SocketStreamError } from '../errors.js'

/** One thing that is wrong: what, and where as keys from the outside in. */
export interface Issue {
  readonly message: string
  readonly path: readonly (string | number)[]
}

/** The error `INVALID_ARGUMENTS` for what does not fit a schema, with `data.issues`. */
export function invalidArguments(issues: readonly StandardSchemaV1.Issue[]): SocketStreamError {
  const list = issues.map(toIssue)
  const where = list[0]?.path.join('.')
  const what = list[0]?.message ?? 'they do not fit the schema'
  const message = `Invalid arguments${where ? ` at ${where}` : ''}: ${what}`
  return new SocketStreamError('INVALID_ARGUMENTS', message, { data: { issues: list } })
}

/** An issue of a Standard Schema, as clients are told of it. */
export function toIssue(issue: StandardSchemaV1.Issue): Issue {
  const path = (issue.path ?? []).map(part => {
    const key = typeof part === 'object' ? part.key : part
    return typeof key === 'number' ? key : String(key)
  })
  return { message: issue.message, path }
}

/** Whether a value is a Standard Schema. */
export function isSchema(value: unknown): value is StandardSchemaV1 {
  const props = (value as { '~standard'?: { validate?: unknown } } | null | undefined)?.['~standard']
  return typeof props?.validate === 'function'
}
