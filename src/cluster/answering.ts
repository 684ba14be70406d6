import { pack, unpack } from '../codec/packed.js'
import { hasCode, SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { isThenable } from '../thenable.js'
import { isAbsence } from './absence.js'
import { type AskDetails, type ClusterMessageOf, encode } from './messages.js'

/** Questions of others that are answered at once. */
const MOST_ANSWERED = 10_000
/** Bytes of the largest answer: what the bus takes, less what goes around it. */
export const MOST_BYTES = 16 * 1024 * 1024 - 4096

const NO_DETAILS: AskDetails = {}

/** What the handler of a call is told besides its payload. */
export interface AnswerContext {
  /** The id of the server that calls. */
  readonly from: string
  /** Aborted when the caller has cancelled, or does not wait any more. */
  readonly signal: AbortSignal
}

/** Answers one question; what it throws goes to whoever asked. */
export type Answering = (
  name: string,
  payload: unknown,
  details: AskDetails,
  context: AnswerContext,
) => unknown

/** What other servers ask of this one. */
export class Answers {
  readonly #id: string
  readonly #answering: Answering
  readonly #reply: (to: string, bytes: Uint8Array) => void
  readonly #log: Logger
  /** Questions being answered, by who asks and its id. */
  readonly #running = new Map<string, Running>()
  #ended: (() => void) | undefined

  /** @param reply sends to a server */
  constructor(id: string, answering: Answering, reply: (to: string, bytes: Uint8Array) => void, log: Logger) {
    this.#id = id
    this.#answering = answering
    this.#reply = reply
    this.#log = log
  }

  answer([, from, id, name, payload, deadline, key, once]: ClusterMessageOf<'ask'>): void {
    const running = new Running(from, deadline)
    let value: unknown
    try {
      if (this.#running.size >= MOST_ANSWERED) {
        throw new SocketStreamError('OVERLOADED', 'The server answers too much already', { retryAfter: 1000 })
      }
      const details = key === null && once === null ? NO_DETAILS : detailsOf(key, once)
      value = this.#answering(name, unpack(payload), details, running)
    } catch (error) {
      running.end()
      this.#fail(from, id, name, error)
      return
    }
    // What is there at once goes out with the other answers of this turn.
    if (isThenable(value)) return void this.#wait(from, id, name, value, running)
    running.end()
    this.#give(from, id, name, value)
  }

  /** Whoever asked does not wait any more. */
  cancel(from: string, id: number): void {
    const place = `${from} ${id}`
    this.#running.get(place)?.cancel()
    this.#forget(place)
  }

  /** Resolves when nothing is being answered, or after so many milliseconds. */
  async finished(ms: number): Promise<void> {
    if (this.#running.size === 0) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#ended = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    for (const running of this.#running.values()) running.cancel()
  }

  async #wait(
    from: string,
    id: number,
    name: string,
    answer: PromiseLike<unknown>,
    running: Running,
  ): Promise<void> {
    const place = `${from} ${id}`
    this.#running.set(place, running)
    try {
      const value = await answer
      if (!running.isCancelled) this.#give(from, id, name, value)
    } catch (error) {
      if (!running.isCancelled) this.#fail(from, id, name, error)
    }
    running.end()
    // Who has cancelled may have asked anew with this id.
    if (this.#running.get(place) === running) this.#forget(place)
  }

  /** Sends an answer, or why it cannot be sent. */
  #give(from: string, id: number, name: string, value: unknown): void {
    let bytes: Uint8Array
    try {
      bytes = encode(['answer', this.#id, id, pack(value ?? null)])
      if (bytes.length > MOST_BYTES) throw tooBig('The answer', bytes)
    } catch (error) {
      bytes = this.#failure(id, name, error)
    }
    this.#reply(from, bytes)
  }

  #fail(from: string, id: number, name: string, error: unknown): void {
    this.#reply(from, this.#failure(id, name, error))
  }

  #forget(place: string): void {
    this.#running.delete(place)
    if (this.#running.size === 0) this.#ended?.()
  }

  #failure(id: number, name: string, error: unknown): Uint8Array {
    if (isAbsence(error)) return encode(['absent', this.#id, id, error.message])
    const known = hasCode(error)
    if (!known) this.#log.error(`the answer to '${name}' of another server failed`, { error })
    const { code, message } = known
      ? error
      : { code: 'INTERNAL', message: 'The server asked has failed; see its log' }
    const { data, retryAfter } = (error ?? {}) as { data?: unknown; retryAfter?: number }
    return encode(['failed', this.#id, id, code, message, packed({ data, retryAfter })])
  }
}

/** One question being answered. Its signal costs nothing until somebody reads it. */
class Running implements AnswerContext {
  readonly from: string
  isCancelled = false
  readonly #last: number
  #controller: AbortController | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(from: string, deadline: number) {
    this.from = from
    this.#last = performance.now() + deadline
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController()
      this.#controller = controller
      if (this.isCancelled) controller.abort()
      else if (Number.isFinite(this.#last)) {
        const left = Math.max(0, this.#last - performance.now())
        this.#timer = setTimeout(() => controller.abort(), left).unref()
      }
    }
    return this.#controller.signal
  }

  cancel(): void {
    this.isCancelled = true
    this.#controller?.abort()
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

/** The error for what the bus would not carry. */
export function tooBig(what: string, bytes: Uint8Array): SocketStreamError {
  const text = `${what} has ${bytes.length} bytes; servers send each other at most ${MOST_BYTES}`
  return new SocketStreamError('FRAME_TOO_BIG', text)
}

function detailsOf(key: string | null, once: string | null): AskDetails {
  return { ...(key !== null && { key }), ...(once !== null && { once }) }
}

function packed(data: unknown): Uint8Array {
  try {
    return pack(data)
  } catch {
    return pack({})
  }
}
