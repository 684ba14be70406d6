import { pack, unpack } from '../codec/packed.js'
import { LONGEST } from '../duration.js'
import { hasCode, SocketStreamError } from '../errors.js'
import { cancelled, handled, isAbsence, late, noResponder } from './absence.js'
import type { AnswerContext } from './answering.js'
import { monotonicClock, pause, within } from './clock.js'
import type { AskDetails } from './messages.js'
import type { ClusterNode } from './nodes.js'
import { MAX_KEY, type Outcomes, once } from './once.js'
import type { ClusterWire } from './wire.js'

/** For how long others are waited for. */
export interface QueryOptions {
  /** Milliseconds. Default the option `cluster.deadline`. */
  readonly deadline?: number
}

/** How a call is made. */
export interface CallOfOptions extends QueryOptions {
  /** Ends the wait with `CANCELLED`, and aborts the handler's signal. */
  readonly signal?: AbortSignal | undefined
  /**
   * Has the call run once, however often and from wherever it is made with this key: 1 to 255 characters, for a day. It is
   * made again by itself, until the deadline, when the server dies that it was made to.
   */
  readonly idempotencyKey?: string
}

/** Who is called, and for how long. */
export interface ClusterCallOptions extends CallOfOptions {
  /** The id of a server. Default one that answers: this one, or any other. */
  readonly node?: string
}

/** Answers calls of a name. */
// biome-ignore lint/suspicious/noExplicitAny: a handler may say what it takes; what comes is for it to check
export type Answerer<Payload = any, Answer = unknown> = (
  payload: Payload,
  from: string,
  context: AnswerContext,
) => Answer

/** Ends the answering; and calls what answers, typed, here or on another server. */
export interface Answered<Payload = unknown, Answer = unknown> {
  (): void
  /** As `call` of the cluster. */
  call(payload: Payload, options?: ClusterCallOptions): Promise<Awaited<Answer>>
}

/** What calls need of their server. */
export interface CallsInit extends Outcomes {
  readonly id: string
  readonly deadline: number
  readonly wire: ClusterWire | undefined
  nodes(): Promise<readonly ClusterNode[]>
  /** Ids of other servers that are known to answer to a name; the engine may know more. */
  able(name: string): readonly string[]
  /** Tells the others whether this server answers to a name. */
  announce(name: string, does: boolean): void
}

/** Milliseconds before a call whose server has died is made again. */
const AGAIN = 100
const NONE: ReadonlySet<string> = new Set()
/** The longest name of what is answered. */
const MAX_NAME = 200

/** Named calls between the servers of a cluster. */
export class Calls {
  readonly #init: CallsInit
  readonly #answers = new Map<string, Answerer>()

  constructor(init: CallsInit) {
    this.#init = init
  }

  /** Names that this server answers, but those of the cluster itself. */
  names(): string[] {
    return [...this.#answers.keys()].filter(name => !name.startsWith('$'))
  }

  /** Answers a name of the cluster itself. */
  serve(name: string, handler: Answerer): void {
    this.#answers.set(name, handler)
  }

  add<Payload, Answer>(name: string, handler: Answerer<Payload, Answer>): Answered<Payload, Answer> {
    checkNew(name, this.#answers)
    if (typeof handler !== 'function')
      throw invalid('The handler must be a function (payload, from) => answer')
    this.#answers.set(name, handler)
    this.#init.announce(name, true)
    const end = () => {
      if (this.#answers.get(name) !== handler) return
      this.#answers.delete(name)
      this.#init.announce(name, false)
    }
    const call = (payload: Payload, options?: ClusterCallOptions) =>
      this.call(name, payload, options) as Promise<Awaited<Answer>>
    return Object.assign(end, { call })
  }

  call(name: string, payload: unknown, options: ClusterCallOptions = {}): Promise<unknown> {
    const { node, deadline = this.#init.deadline, signal, idempotencyKey: key } = options
    const wrong = wrongOptions(options)
    if (wrong !== undefined) return Promise.reject(wrong)
    if (name.startsWith('$')) return Promise.reject(invalid('Names with $ are those of the cluster itself'))
    if (key !== undefined) return this.#repeated(name, payload, { node, deadline, signal, once: key })
    const how = signal === undefined ? { deadline } : { deadline, signal }
    return node === undefined ? this.#anywhere(name, payload, how) : this.at(node, name, payload, how)
  }

  /** Calls with an idempotency key, again while that may help. */
  async #repeated(
    name: string,
    payload: unknown,
    { node, deadline, ...details }: AskHere & { readonly node: string | undefined },
  ): Promise<unknown> {
    const { signal } = details
    const last = performance.now() + deadline
    let before: unknown
    for (;;) {
      try {
        const left = Math.max(1, last - performance.now())
        if (node !== undefined) return await this.at(node, name, payload, { ...details, deadline: left })
        return await this.#anywhere(name, payload, { ...details, deadline: left })
      } catch (error) {
        // That this time nothing was done says nothing about the time before.
        if (!mayRepeat(error)) throw before !== undefined && isUndone(error) ? before : error
        before = error
      }
      await pause(monotonicClock, Math.min(AGAIN, Math.max(0, last - performance.now())))
      if (signal?.aborted) throw cancelled(signal)
      if (performance.now() >= last) throw late(`'${name}' was not answered within ${deadline} ms`)
    }
  }

  /** Here as there: what is handed over is a copy, and failures look the same. */
  at(node: string, name: string, payload: unknown, options: AskHere): Promise<unknown> {
    const { id, wire } = this.#init
    if (node === id) return this.#here(name, payload, options)
    if (wire === undefined) return Promise.reject(noResponder(`The server ${node} is not there`))
    return wire.ask(node, name, payload, options)
  }

  async #here(name: string, payload: unknown, options: AskHere): Promise<unknown> {
    const { id } = this.#init
    const { deadline, signal, ...details } = options
    if (signal?.aborted) throw cancelled(signal)
    const giving = new AbortController()
    const give = signal === undefined ? giving.signal : AbortSignal.any([signal, giving.signal])
    const context: AnswerContext = { from: id, signal: give }
    const copy = unpack(pack(payload))
    const work = (async () => unpack(pack((await this.answer(name, copy, details, context)) ?? null)))()
    const failure = () => {
      giving.abort()
      return late(`This server did not answer within ${Math.round(deadline)} ms`)
    }
    return within(monotonicClock, deadline, work, failure, signal, cancelled)
  }

  /** Answers a call that has come here, at once if the handler does. @throws SocketStreamError `NO_RESPONDER` */
  answer(name: string, payload: unknown, details: AskDetails, context: AnswerContext): unknown {
    const handler = this.#answers.get(name)
    if (handler === undefined) throw noResponder(`This server does not answer to '${name}'`)
    const work = () => handled(() => handler(payload, context.from, context))
    if (details.once === undefined) return work()
    return once(this.#init, name, details.once, payload, async () => work())
  }

  #anywhere(name: string, payload: unknown, options: AskHere): Promise<unknown> {
    const { id, able } = this.#init
    if (this.#answers.has(name)) return this.at(id, name, payload, options)
    const last = performance.now() + options.deadline
    const node = anyOf(able(name), NONE)
    if (node === undefined) return this.#search(name, payload, options, last, new Set())
    return this.at(node, name, payload, options).catch(error => {
      // It has gone, or answers no more: another one may.
      if (!isAbsence(error)) throw error
      return this.#search(name, payload, options, last, new Set([node]))
    })
  }

  /** Asks one after the other until one answers. @param asked those that have not */
  async #search(
    name: string,
    payload: unknown,
    options: AskHere,
    last: number,
    asked: Set<string>,
  ): Promise<unknown> {
    const { id, able } = this.#init
    const known = able(name)
    for (let node = anyOf(known, asked); ; node = anyOf(known, asked)) {
      // Of those that are known none is left: the engine knows those that have come just now.
      node ??= anyOf(answering(name, await this.#listed(name, options, last), id), asked)
      if (node === undefined) throw noResponder(`No server answers to '${name}'`)
      asked.add(node)
      try {
        const deadline = Math.max(1, last - performance.now())
        return await this.at(node, name, payload, { ...options, deadline })
      } catch (error) {
        if (!isAbsence(error)) throw error
      }
    }
  }

  /** The servers, by the engine, if it says so in time. */
  #listed(name: string, { deadline, signal }: AskHere, last: number): Promise<readonly ClusterNode[]> {
    const failure = () => late(`Nobody could be asked for '${name}' within ${Math.round(deadline)} ms`, false)
    return within(monotonicClock, last - performance.now(), this.#init.nodes(), failure, signal, cancelled)
  }
}

interface AskHere extends AskDetails {
  readonly deadline: number
  readonly signal?: AbortSignal | undefined
}

/** Whether a call with an idempotency key may be made again at once: its server has died, or it runs. */
export function mayRepeat(error: unknown): boolean {
  return hasCode(error) && (error.code === 'CONNECTION_LOST' || error.code === 'IDEMPOTENCY_RUNNING')
}

/** Whether an error says that nothing was done. */
export function isUndone(error: unknown): boolean {
  const { data } = (error ?? {}) as { data?: { accepted?: unknown } | null }
  return data?.accepted === false
}

/** What is wrong with the options of a call, as JavaScript may give them; undefined if nothing is. */
export function wrongOptions({
  deadline,
  idempotencyKey: key,
}: CallOfOptions): SocketStreamError | undefined {
  if (deadline !== undefined && !(deadline >= 0 && deadline <= LONGEST)) {
    return invalid(`\`deadline\` must be milliseconds from 0 to ${LONGEST}`)
  }
  if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > MAX_KEY)) {
    return invalid(`An idempotency key has 1 to ${MAX_KEY} characters`)
  }
  return undefined
}

/** Checks a name that users give. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkNew(name: unknown, taken: ReadonlyMap<string, unknown>): void {
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME || name.startsWith('$')) {
    throw invalid(`The name must be a text of 1 to ${MAX_NAME} characters that does not begin with $`)
  }
  if (taken.has(name)) throw invalid(`'${name}' is there already on this server; choose another name`)
}

function answering(name: string, nodes: readonly ClusterNode[], own: string): string[] {
  return nodes.filter(({ id, answers }) => id !== own && answers.includes(name)).map(({ id }) => id)
}

/** One of those that are not in `asked`, any. */
function anyOf(ids: readonly string[], asked: ReadonlySet<string>): string | undefined {
  const left = asked.size === 0 ? ids : ids.filter(id => !asked.has(id))
  return left[Math.floor(Math.random() * left.length)]
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message, { data: { issues: [{ message }] } })
}
