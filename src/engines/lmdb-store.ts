import type { Database, RootDatabase } from 'lmdb'
import { hasCode } from '../errors.js'
import { unavailable } from './checks.js'
import type { Events } from './events.js'

/** A table of bytes under bytes, in the order of the keys. */
export type Table = Database<Buffer, Buffer>

/** Where every listing begins: no key is empty, so none comes before. */
export const FIRST = Buffer.of(0)
/** Writes of one transaction; the event loop waits while they are made. */
const BATCH = 1024

interface Job {
  readonly body: (now: number) => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly after: ((result: unknown) => void) | undefined
  late: boolean
}

/** An open LMDB: reads, and writes that share transactions, each with a deadline. */
export class LmdbStore {
  readonly now: () => number
  readonly #root: RootDatabase
  readonly #deadline: number
  readonly #events: Events
  readonly #sweeps: ((now: number) => void)[] = []
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #counters: Table
  /** What the next transaction will write. */
  #batch: Job[] | undefined
  #down = false
  #closed = false

  constructor(root: RootDatabase, deadline: number, now: () => number, events: Events) {
    this.#root = root
    this.#deadline = deadline
    this.now = now
    this.#events = events
    this.#counters = this.table('counters')
  }

  table(name: string): Table {
    return this.#root.openDB(name, { encoding: 'binary', keyEncoding: 'binary' })
  }

  /** Has something removed what is over, a little of it in every transaction. */
  onSweep(sweep: (now: number) => void): void {
    this.#sweeps.push(sweep)
  }

  /** Where a counter stands, 0 at first. In a transaction or a read. */
  counter(name: string): number {
    return this.#counters.get(Buffer.from(name))?.readDoubleBE() ?? 0
  }

  /** Counts on, in a transaction: gives a number that was not given before, by any process. */
  next(name: string): number {
    const value = this.counter(name) + 1
    this.#counters.put(Buffer.from(name), doubles(value))
    return value
  }

  /** Reads what is there now, also what another process has just written. */
  read<T>(body: (now: number) => T): T {
    this.checkOpen()
    try {
      this.#root.resetReadTxn()
      return body(this.now())
    } catch (cause) {
      throw unavailable('lmdb: cannot read; see the cause', cause)
    }
  }

  /**
   * Runs a body in a transaction; resolves once the disk has it. Past the deadline it is not begun.
   *
   * The body throws, if at all, before it writes: others share its transaction.
   *
   * @param after called in the order of the writes, also past the deadline; with undefined when it failed
   */
  async write<T>(body: (now: number) => T, after?: (result: T | undefined) => void): Promise<T> {
    this.checkOpen()
    return this.#write(body, after)
  }

  /** Refuses every further call, waits for the writes under way, writes a last time, closes. */
  async close(last?: () => void): Promise<void> {
    this.#closed = true
    const end = async () => {
      try {
        if (last) await this.#write(last)
      } finally {
        await Promise.allSettled(this.#underWay)
        await this.#root.close()
      }
    }
    await this.#settle(end())
  }

  checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }

  async #write<T>(body: (now: number) => T, after?: (result: T | undefined) => void): Promise<T> {
    let job: Job | undefined
    const written = new Promise<unknown>((resolve, reject) => {
      job = { body, resolve, reject, after: after as Job['after'], late: false }
      this.#batch ??= this.#begin()
      if (this.#batch.push(job) >= BATCH) this.#batch = undefined
    })
    try {
      return (await this.#settle(written)) as T
    } finally {
      job!.late = true
    }
  }

  #begin(): Job[] {
    const batch: Job[] = []
    const running = this.#root.transaction(() => {
      if (this.#batch === batch) this.#batch = undefined
      const now = this.now()
      for (const sweep of this.#sweeps) sweep(now)
      return batch.map(job => runJob(job, now))
    })
    const settled = running.then(
      outcomes => {
        for (const [at, outcome] of outcomes.entries()) finish(batch[at]!, outcome)
      },
      (error: unknown) => {
        if (this.#batch === batch) this.#batch = undefined
        for (const job of batch) finish(job, { error })
      },
    )
    this.#underWay.add(settled)
    void settled.then(() => this.#underWay.delete(settled))
    return batch
  }

  async #settle<T>(work: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const deadline = new Promise<never>((_resolve, reject) => {
      const late = () => reject(unavailable(`lmdb: no answer within ${this.#deadline} ms; try again`))
      timer = setTimeout(late, this.#deadline)
    })
    try {
      const result = await Promise.race([work, deadline])
      this.#setDown(false)
      return result
    } catch (error) {
      const known = hasCode(error) && /^ENGINE_/.test(error.code)
      const failure = known ? error : unavailable('lmdb: the call failed; see the cause', error)
      this.#setDown((failure as { code: string }).code === 'ENGINE_UNAVAILABLE', failure)
      throw failure
    } finally {
      clearTimeout(timer)
    }
  }

  #setDown(down: boolean, cause?: unknown): void {
    if (this.#down === down || this.#closed) return
    this.#down = down
    if (down) this.#events.emit('down', cause)
    else this.#events.emit('up')
  }
}

type Outcome = { readonly result: unknown } | { readonly error: unknown }

function finish(job: Job, outcome: Outcome): void {
  if ('result' in outcome) job.resolve(outcome.result)
  else job.reject(outcome.error)
  job.after?.('result' in outcome ? outcome.result : undefined)
}

function runJob({ body, late }: Job, now: number): Outcome {
  if (late) return { error: unavailable('lmdb: the write came after its deadline') }
  try {
    return { result: body(now) }
  } catch (error) {
    return { error }
  }
}

/** Numbers as bytes; those of positive ones are in the order of the numbers. */
export function doubles(...numbers: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(8 * numbers.length)
  for (const [at, number] of numbers.entries()) bytes.writeDoubleBE(number, 8 * at)
  return bytes
}
