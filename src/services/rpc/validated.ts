import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SocketStreamError } from '../../errors.js'
import { invalidArguments, isSchema, toIssue } from '../../protocol/issues.js'
import { isThenable } from '../../thenable.js'
import { type Steps, stepsOf } from './answer.js'
import type { RpcContext } from './context.js'

/** A handler whose arguments, and perhaps result, a schema checks. */
export interface Validated<Args extends unknown[], Result> {
  (ctx: RpcContext, ...args: never[]): unknown
  /** For types only: what the caller passes, and what it gets. Never there at run time. */
  readonly '~io': [Args, Result]
}

/** A Standard Schema for a list of arguments, such as `z.tuple([z.string(), z.number().optional()])`. */
export type ArgsSchema = StandardSchemaV1<unknown, readonly unknown[]>

type Tuple<T> = T extends unknown[] ? T : T extends readonly [...infer Items] ? Items : never
type ArgsIn<A extends ArgsSchema> = Tuple<StandardSchemaV1.InferInput<A>>
type ArgsOut<A extends ArgsSchema> = Tuple<StandardSchemaV1.InferOutput<A>>

/** What a handler may return if its result, or each item of its stream, is checked. */
type Returns<S extends StandardSchemaV1, In = StandardSchemaV1.InferInput<S>> =
  | In
  | Promise<In>
  | AsyncIterable<In>
  | Generator<In, unknown, undefined>

/** The checked result: a stream of what the schema gives if the handler returned one. */
type Checked<R, S extends StandardSchemaV1> = [R] extends [never]
  ? never
  : [R] extends [AsyncIterable<unknown> | Generator]
    ? AsyncIterable<StandardSchemaV1.InferOutput<S>>
    : StandardSchemaV1.InferOutput<S>

type AnyHandler = (this: unknown, ctx: RpcContext, ...args: unknown[]) => unknown

/**
 * Checks a handler's arguments, and perhaps its result, with Standard Schemas.
 *
 * One schema describes the whole argument list, so that optional tails and defaults are typed
 * right. The handler gets what the schema makes of the arguments. A result schema checks the
 * value, or each item of a stream. Schemas may be asynchronous.
 *
 * The caller gets `INVALID_ARGUMENTS` with `data.issues`, a list of `Issue`. A result that does not
 * fit is a fault of the server: it is logged as `INVALID_RESULT`, the caller gets `INTERNAL`.
 *
 * @throws SocketStreamError `INVALID_OPTION` if something is no Standard Schema or no function
 * @example validated(z.tuple([z.string().min(1)]), (ctx, name) => `Hello ${name}`)
 */
export function validated<A extends ArgsSchema, R>(
  args: A,
  handler: (ctx: RpcContext, ...args: ArgsOut<A>) => R,
): Validated<ArgsIn<A>, R>
export function validated<A extends ArgsSchema, S extends StandardSchemaV1, R extends Returns<S>>(
  args: A,
  result: S,
  handler: (ctx: RpcContext, ...args: ArgsOut<A>) => R,
): Validated<ArgsIn<A>, Checked<R, S>>
export function validated(args: ArgsSchema, second: unknown, third?: unknown): Validated<never[], unknown> {
  const handler = third === undefined ? second : third
  const result = third === undefined ? undefined : (second as StandardSchemaV1)
  requireSchema(args, 'first')
  if (result !== undefined) requireSchema(result, 'second')
  if (typeof handler !== 'function') {
    throw new SocketStreamError('INVALID_OPTION', 'validated() takes a function as its last argument')
  }
  const run: AnyHandler = function (ctx, ...input) {
    const call = (parsed: StandardSchemaV1.Result<readonly unknown[]>): unknown => {
      if (parsed.issues) throw invalidArguments(parsed.issues)
      const returned: unknown = handler.call(this, ctx, ...parsed.value)
      return result === undefined ? returned : checkResult(returned, result, ctx)
    }
    const parsed = args['~standard'].validate(input)
    return isThenable(parsed) ? parsed.then(call) : call(parsed)
  }
  return run as unknown as Validated<never[], unknown>
}

function checkResult(returned: unknown, schema: StandardSchemaV1, ctx: RpcContext): unknown {
  if (isThenable(returned)) return returned.then(value => checkResult(value, schema, ctx))
  const steps = stepsOf(returned)
  return steps === undefined ? checkValue(returned, schema, ctx) : checkItems(steps, schema, ctx)
}

function checkValue(value: unknown, schema: StandardSchemaV1, ctx: RpcContext): unknown {
  const pass = (checked: StandardSchemaV1.Result<unknown>): unknown => {
    if (checked.issues) throw invalidResult(checked.issues, ctx)
    return checked.value
  }
  const checked = schema['~standard'].validate(value)
  return isThenable(checked) ? checked.then(pass) : pass(checked)
}

/** Not a generator: `return` must reach the source at once, also while a step is awaited. */
function checkItems(steps: Steps, schema: StandardSchemaV1, ctx: RpcContext): AsyncIterableIterator<unknown> {
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      const step = (await steps.next()) as IteratorResult<unknown>
      if (step.done === true) return step
      return { done: false, value: await checkValue(await step.value, schema, ctx) }
    },
    async return() {
      await steps.return?.()
      return { done: true, value: undefined }
    },
  }
}

/** Has no code, so that the caller learns no more than that the handler failed. */
function invalidResult(issues: readonly StandardSchemaV1.Issue[], ctx: RpcContext): Error {
  const cause = new SocketStreamError(
    'INVALID_RESULT',
    `The result of '${ctx.method}' does not fit its schema`,
    {
      data: { issues: issues.map(toIssue) },
    },
  )
  ctx.log.error(cause.message, { code: cause.code, method: ctx.method, data: cause.data })
  return new Error(cause.message, { cause })
}

function requireSchema(schema: unknown, place: string): void {
  if (isSchema(schema)) return
  throw new SocketStreamError(
    'INVALID_OPTION',
    `validated() takes a Standard Schema as its ${place} argument, such as z.tuple([z.string()])`,
  )
}
