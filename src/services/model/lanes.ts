import { SocketStreamError } from '../../errors.js'

/** Tasks that may wait for a record. */
const MAX_WAITING = 1000
/** Milliseconds after which there may be room again. */
const RETRY_AFTER = 1000

/** Runs tasks one after the other for each id, those of different ids side by side. */
export class Lanes {
  readonly #lanes = new Map<string, { tail: Promise<unknown>; waiting: number }>()

  /** Runs a task when those of its id before have ended. @throws SocketStreamError `OVERLOADED` */
  async run<T>(id: string, task: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(id) ?? { tail: Promise.resolve(), waiting: 0 }
    if (lane.waiting >= MAX_WAITING) {
      const text = `${MAX_WAITING} requests wait for this record; try again when some have ended`
      throw new SocketStreamError('OVERLOADED', text, { retryAfter: RETRY_AFTER })
    }
    this.#lanes.set(id, lane)
    lane.waiting++
    const turn = lane.tail.then(task)
    lane.tail = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      if (--lane.waiting === 0) this.#lanes.delete(id)
    }
  }
}
