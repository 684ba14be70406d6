import { unpack } from '../codec/packed.js'
import { SocketStreamError } from '../errors.js'
import { cancelled, late } from './absence.js'

/** Questions that wait for their answers at once. */
const MOST_ASKED = 10_000

interface Question {
  readonly node: string
  readonly deadline: number
  /** When the wait is over, by `performance.now()`. */
  readonly due: number
  resolve(value: unknown): void
  reject(error: unknown): void
  /** Leaves the signal. */
  end: (() => void) | undefined
}

/** What this server has asked others, and has no answer to yet: one timer for all of it. */
export class Questions {
  readonly #gaveUp: (node: string, id: number) => void
  readonly #asked = new Map<number, Question>()
  #lastId = 0
  #timer: NodeJS.Timeout | undefined
  /** When the timer looks. */
  #looks = Number.POSITIVE_INFINITY

  /** @param gaveUp tells a server that whoever asked it does not wait any more */
  constructor(gaveUp: (node: string, id: number) => void) {
    this.#gaveUp = gaveUp
  }

  /** The next id. @throws SocketStreamError `OVERLOADED` */
  next(): number {
    if (this.#asked.size < MOST_ASKED) return ++this.#lastId
    const text = `${MOST_ASKED} questions to other servers wait for their answers`
    throw new SocketStreamError('OVERLOADED', text, { retryAfter: 1000 })
  }

  /** Waits for an answer, until the time is over, or the signal is aborted. */
  wait(id: number, node: string, deadline: number, signal: AbortSignal | undefined): Promise<unknown> {
    return new Promise<unknown>((resolve, reject) => {
      const due = performance.now() + deadline
      let end: (() => void) | undefined
      if (signal !== undefined) {
        const abort = () => this.#giveUp(id, cancelled(signal))
        signal.addEventListener('abort', abort, { once: true })
        end = () => signal.removeEventListener('abort', abort)
      }
      this.#asked.set(id, { node, deadline, due, resolve, reject, end })
      if (due < this.#looks) this.#look(due, deadline)
      else if (this.#asked.size === 1) this.#timer?.ref()
    })
  }

  /** Gives the answer to whoever has asked; one that is late goes to nobody, and is not read. */
  answer(id: number, payload: Uint8Array): void {
    const question = this.#take(id)
    if (question === undefined) return
    try {
      question.resolve(unpack(payload))
    } catch (error) {
      question.reject(error)
    }
  }

  fail(id: number, error: unknown): void {
    this.#take(id)?.reject(error)
  }

  /** Whether one still waits. */
  has(id: number): boolean {
    return this.#asked.has(id)
  }

  /** Ids of those that were put to a server, or of all. */
  ids(node?: string): number[] {
    return [...this.#asked].filter(([, asked]) => node === undefined || asked.node === node).map(([id]) => id)
  }

  #take(id: number): Question | undefined {
    const question = this.#asked.get(id)
    if (question === undefined) return undefined
    this.#asked.delete(id)
    question.end?.()
    // The timer stays, as the next question needs one, but keeps no process alive.
    if (this.#asked.size === 0) this.#timer?.unref()
    return question
  }

  #giveUp(id: number, error: Error): void {
    const question = this.#take(id)
    if (question === undefined) return
    question.reject(error)
    this.#gaveUp(question.node, id)
  }

  #look(due: number, ms: number): void {
    clearTimeout(this.#timer)
    this.#looks = due
    this.#timer = setTimeout(this.#looked, Math.ceil(ms))
  }

  readonly #looked = (): void => {
    this.#timer = undefined
    this.#looks = Number.POSITIVE_INFINITY
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const [id, { node, deadline, due }] of [...this.#asked]) {
      if (due > now) next = Math.min(next, due)
      else this.#giveUp(id, late(`The server ${node} did not answer within ${Math.round(deadline)} ms`))
    }
    if (next < this.#looks) this.#look(next, next - now)
  }
}
