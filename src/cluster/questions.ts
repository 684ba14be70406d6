import { SocketStreamError } from '../errors.js'
import { cancelled, late } from './absence.js'

/** Questions that wait for their answers at once. */
const MOST_ASKED = 10_000

interface Question {
  readonly node: string
  resolve(value: unknown): void
  reject(error: unknown): void
  end(): void
}

/** What this server has asked others, and has no answer to yet. */
export class Questions {
  readonly #asked = new Map<number, Question>()
  #lastId = 0

  /** The next id. @throws SocketStreamError `OVERLOADED` */
  next(): number {
    if (this.#asked.size < MOST_ASKED) return ++this.#lastId
    const text = `${MOST_ASKED} questions to other servers wait for their answers`
    throw new SocketStreamError('OVERLOADED', text, { retryAfter: 1000 })
  }

  /** Waits for an answer; `gaveUp` is called when the time is over, or the signal is aborted. */
  wait(
    id: number,
    node: string,
    deadline: number,
    signal: AbortSignal | undefined,
    gaveUp: () => void,
  ): Promise<unknown> {
    return new Promise<unknown>((resolve, reject) => {
      const giveUp = (error: Error): void => {
        this.fail(id, error)
        gaveUp()
      }
      const timer = setTimeout(
        () => giveUp(late(`The server ${node} did not answer within ${Math.round(deadline)} ms`)),
        deadline,
      )
      const abort = () => giveUp(cancelled(signal!))
      signal?.addEventListener('abort', abort, { once: true })
      const end = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
      this.#asked.set(id, { node, resolve, reject, end })
    })
  }

  /** Gives the answer to whoever has asked; one that is late goes to nobody. */
  answer(id: number, value: () => unknown): void {
    const question = this.#take(id)
    try {
      question?.resolve(value())
    } catch (error) {
      question?.reject(error)
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
    this.#asked.delete(id)
    question?.end()
    return question
  }
}
