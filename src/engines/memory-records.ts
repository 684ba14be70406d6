import { unavailable } from './checks.js'
import type { Outcome, RecordOf, Records, Standing } from './records.js'

/** Records that a change looks at, so that those it finds over do not pile up. */
const SWEEP = 4

/** Records in the memory of this process, up to a number; past it a change of another name is refused. */
export class MemoryRecords implements Records {
  readonly #now: () => number
  readonly #most: number
  readonly #records = new Map<string, RecordOf>()
  #round = this.#records.keys()
  #last = 0
  #closed = false

  constructor(now: () => number, most: number) {
    this.#now = now
    this.#most = most
  }

  async read(name: Buffer) {
    this.#checkOpen()
    return { record: this.#find(name.toString(), this.#now()), now: this.#now() }
  }

  async change<Result>(bytes: Buffer, step: (standing: Standing) => Outcome<Result>): Promise<Result> {
    this.#checkOpen()
    const name = bytes.toString()
    const now = this.#now()
    this.#sweep(now, SWEEP)
    const standing = this.#find(name, now)
    const { result, record } = step({ record: standing, now, next: () => ++this.#last })
    if (record && !standing) this.#checkRoom(now)
    if (record) this.#records.set(name, record)
    else if (record === null) this.#records.delete(name)
    return result
  }

  close(): void {
    this.#closed = true
    this.#records.clear()
  }

  #checkRoom(now: number): void {
    if (this.#records.size < this.#most) return
    this.#sweep(now, this.#records.size + 1)
    if (this.#records.size < this.#most) return
    throw unavailable(`memory: no room for more than ${this.#most} names; raise \`items\` for more`)
  }

  #find(name: string, now: number): RecordOf | undefined {
    const record = this.#records.get(name)
    if (!record || record.expires > now) return record
    this.#records.delete(name)
    return undefined
  }

  #sweep(now: number, most: number): void {
    for (let seen = 0; seen < most; seen++) {
      const { value: name, done } = this.#round.next()
      if (!done) this.#find(name, now)
      else this.#round = this.#records.keys()
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }
}
