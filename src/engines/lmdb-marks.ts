import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { unavailable } from './checks.js'
import type { LmdbStore, Table } from './lmdb-store.js'

/** Marks of the engines that are open in this process. */
const open = new Set<string>()

/** The current run of the machine, where it tells: a process number means nothing to the next one. */
const boot = (() => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
})()

/**
 * Tells an unclean start: who uses the log leaves a mark, and removes it when it closes.
 *
 * A mark whose process is gone says that one has ended in between. What it had acknowledged is there if the
 * disk has kept its word; as nobody can tell, every channel gets a new epoch.
 */
export class LmdbMarks {
  readonly #store: LmdbStore
  readonly #table: Table
  readonly #name = randomBytes(12)
  #making: Promise<void> | undefined
  #isMade = false

  constructor(store: LmdbStore) {
    this.#store = store
    this.#table = store.table('log.marks')
  }

  /**
   * Makes the mark, before the first write to the log; a write that is begun with it comes after it.
   *
   * @param made called once it is there, with the count of changes
   */
  make(made: (changes: number) => void): Promise<void> {
    this.#making ??= this.#write(made)
    return this.#making
  }

  /** Refuses to write without a mark. In a transaction. */
  check(): void {
    if (!this.#isMade) throw unavailable('lmdb: the log could not be opened by the deadline; try again')
  }

  async #write(made: (changes: number) => void): Promise<void> {
    const mark = () => {
      const marks = Array.from(this.#table.getRange({}), ({ key, value }) => ({
        name: Buffer.from(key),
        text: value.toString(),
      }))
      const dead = marks.filter(({ name, text }) => isDead(name, text))
      for (const { name } of dead) this.#table.remove(name)
      if (dead.length > 0) {
        this.#store.next('log.generation')
        this.#store.next('log.changes')
      }
      this.#table.put(this.#name, Buffer.from(`${process.pid} ${boot}`))
      open.add(this.#name.toString('hex'))
      this.#isMade = true
      return this.#store.counter('log.changes')
    }
    try {
      await this.#store.write(mark, changes => changes !== undefined && made(changes))
    } catch (error) {
      this.#making = undefined
      this.#isMade = false
      throw error
    }
  }

  /** What removes the mark, in the last transaction; undefined when there is none. */
  removal(): (() => void) | undefined {
    return this.#making && (() => void this.#table.remove(this.#name))
  }

  /** The engine is closed: the mark, if it is still there, stands for one that has ended. */
  forget(): void {
    open.delete(this.#name.toString('hex'))
  }
}

function isDead(name: Buffer, text: string): boolean {
  const [pid = '', run = ''] = text.split(' ')
  if (run !== boot) return true
  if (Number(pid) === process.pid) return !open.has(name.toString('hex'))
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    // Without the right to signal it, it is there.
    return (error as NodeJS.ErrnoException).code !== 'EPERM'
  }
}
