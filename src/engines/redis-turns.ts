import { SLOTS, slotOf } from './redis-slots.js'
import type { Reply, Words } from './redis-wire.js'

/** Milliseconds before what was not done is tried again. */
const RETRY = 50

/** A command that was not done yet. */
interface Late {
  /** When it was sent, or was to be, among all commands. */
  readonly turn: number
  readonly key: string
  readonly words: Words
  /** By `performance.now()`, after which it must not be done any more. */
  readonly last: number
  readonly resolve: (reply: Reply | Promise<Reply>) => void
  readonly reject: (reason: unknown) => void
}

/** The commands of a slot that are put off. */
interface Queue {
  /** In the order of their turns. */
  late: Late[]
  /** Why they are. */
  cause: unknown
}

/** How commands are sent to a cluster, and which of them may be sent again. */
export interface Sender {
  send(key: string, words: Words): Promise<Reply>
  /** Whether a command that failed so surely had no effect. */
  wasNotDone(error: unknown): boolean
}

/**
 * Commands of a cluster, repeated while its servers refuse them for now, and done in the order of each slot.
 *
 * What comes later for a slot waits behind what is put off there. A command that one sent after it has overtaken, while
 * both were on their way, fails in place of being repeated. For as long as nothing is put off each costs a slot and
 * three numbers.
 */
export class RedisTurns {
  readonly #sender: Sender
  readonly #deadline: number
  readonly #queues = new Map<number, Queue>()
  /** How many are under way, of each slot. */
  readonly #underWay = new Uint32Array(SLOTS)
  /** The last turn that was done, or may have been, of each slot. */
  readonly #done = new Float64Array(SLOTS)
  #turn = 0
  #closed = false

  /** @param deadline milliseconds for which a command is repeated */
  constructor(sender: Sender, deadline: number) {
    this.#sender = sender
    this.#deadline = deadline
  }

  /** Sends at once, or when those before it are done. */
  send(key: string, words: Words): Promise<Reply> {
    const slot = slotOf(key)
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(slot)
    const last = performance.now() + this.#deadline
    const turn = ++this.#turn
    return queue === undefined
      ? this.#send(slot, turn, key, words, last)
      : putOff(queue, { turn, key, words, last })
  }

  /** Repeats nothing any more. */
  close(): void {
    this.#closed = true
  }

  async #send(slot: number, turn: number, key: string, words: Words, last: number): Promise<Reply> {
    this.#underWay[slot]!++
    try {
      const reply = await this.#sender.send(key, words)
      this.#isDone(slot, turn)
      return reply
    } catch (error) {
      if (!this.#sender.wasNotDone(error)) this.#isDone(slot, turn)
      else if (!this.#closed) return putOff(this.#queue(slot, error), { turn, key, words, last })
      throw error
    } finally {
      this.#underWay[slot]!--
    }
  }

  #isDone(slot: number, turn: number): void {
    if (this.#done[slot]! < turn) this.#done[slot] = turn
  }

  #queue(slot: number, cause: unknown): Queue {
    const standing = this.#queues.get(slot)
    if (standing) return standing
    const queue: Queue = { late: [], cause }
    this.#queues.set(slot, queue)
    void this.#repeat(slot, queue)
    return queue
  }

  /** Tries the first one until it is done, and then sends the others behind it. */
  async #repeat(slot: number, queue: Queue): Promise<void> {
    while (!(await this.#isThrough(slot, queue)));
    this.#queues.delete(slot)
    for (const { key, words, last, resolve } of queue.late) {
      resolve(this.#send(slot, ++this.#turn, key, words, last))
    }
  }

  async #isThrough(slot: number, queue: Queue): Promise<boolean> {
    await new Promise(resolve => setTimeout(resolve, RETRY))
    const now = performance.now()
    const done = this.#done[slot]!
    const isWanted = ({ turn, last }: Late) => turn > done && last >= now && !this.#closed
    const unwanted = queue.late.filter(each => !isWanted(each))
    if (unwanted.length > 0) queue.late = queue.late.filter(isWanted)
    for (const { reject } of unwanted) reject(queue.cause)
    const [first] = queue.late
    if (first === undefined) return true
    // One that was sent after it may be done yet.
    if (this.#underWay[slot]! > 0) return false
    try {
      first.resolve(await this.#sender.send(first.key, first.words))
    } catch (error) {
      if (this.#sender.wasNotDone(error)) {
        queue.cause = error
        return false
      }
      first.reject(error)
    }
    queue.late.shift()
    return true
  }
}

/** Puts it where its turn is: refusals come after later commands have begun to wait. */
function putOff({ late }: Queue, command: Omit<Late, 'resolve' | 'reject'>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let at = late.length
    while (at > 0 && late[at - 1]!.turn > command.turn) at--
    late.splice(at, 0, { ...command, resolve, reject })
  })
}
