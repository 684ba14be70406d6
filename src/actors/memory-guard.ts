import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'

/** How much memory the process may have before no more clients are let in. */
export interface MemoryOptions {
  /**
   * Bytes of resident memory; or, from 0 to 1, a share of what the process may have: of the machine or its container,
   * and of V8's heap. Default 0.9.
   */
  readonly limit?: number
  /** Says how many bytes are in use, once a second. Default the resident memory, and V8's heap for a share. */
  readonly gauge?: () => number
}

/** The options with their defaults; a reading of 1 is the limit. */
export interface MemorySettings {
  readonly pressure: () => number
}

/** The share of the limit below which clients are let in again: not at once, or it would flap. */
const BELOW = 0.9

/**
 * Checks the option `memory` and fills in the defaults; undefined for `false`.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function memorySettings(given: unknown = {}): MemorySettings | undefined {
  if (given === false) return undefined
  if (given === null || typeof given !== 'object') {
    throw invalid('`memory` must be false or options', 'memory: { limit: 0.9 }')
  }
  const { limit = 0.9, gauge, ...others } = given as MemoryOptions
  for (const name of Object.keys(others)) {
    throw invalid(`there is no option \`memory.${name}\``, 'one of limit, gauge')
  }
  if (typeof limit !== 'number' || !Number.isFinite(limit) || limit <= 0) {
    throw invalid('`memory.limit` must be bytes, or a share from 0 to 1', 'memory: { limit: 0.9 }')
  }
  if (gauge !== undefined && typeof gauge !== 'function') {
    throw invalid('`memory.gauge` must be a function', 'memory: { gauge: () => process.memoryUsage.rss() }')
  }
  return { pressure: pressureOf(limit, gauge) }
}

function pressureOf(limit: number, gauge: (() => number) | undefined): () => number {
  const resident = gauge ?? process.memoryUsage.rss
  if (limit > 1) return () => resident() / limit
  // Of a process without a bound of its own this is more than the machine has, or 0.
  const most = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem()) * limit
  if (gauge !== undefined) return () => gauge() / most
  return () => {
    const { used_heap_size: used, heap_size_limit: heap } = getHeapStatistics()
    return Math.max(resident() / most, used / (heap * limit))
  }
}

/**
 * Looks at the memory of the process, and says when no more clients are to be let in.
 *
 * Past the limit, what is kept for clients that are away goes first. When that was not enough by the next look,
 * clients are refused, until less than 90 % of the limit is in use.
 */
export class MemoryGuard {
  readonly #settings: MemorySettings | undefined
  readonly #evict: () => number
  readonly #log: Logger
  #full = false

  /** @param evict gives up what is kept for clients that are away; says for how many */
  constructor(settings: MemorySettings | undefined, evict: () => number, log: Logger) {
    this.#settings = settings
    this.#evict = evict
    this.#log = log
  }

  /** Whether clients are to be refused. */
  get full(): boolean {
    return this.#full
  }

  /** Looks. A gauge that throws, or says what is no number, changes nothing. */
  look(): void {
    const pressure = this.#pressure()
    if (this.#full && pressure < BELOW) {
      this.#full = false
      this.#log.info('clients are let in again: memory is free')
    }
    if (!(pressure >= 1)) return
    const evicted = this.#evict()
    if (evicted > 0) this.#log.warn('memory is short: gave up clients that were away', { evicted, pressure })
    else if (!this.#full) {
      this.#full = true
      this.#log.warn('memory is short: no more clients are let in', { pressure })
    }
  }

  #pressure(): number {
    if (this.#settings === undefined) return 0
    try {
      return this.#settings.pressure()
    } catch (error) {
      this.#log.error('the gauge of `memory` failed', { error })
      return Number.NaN
    }
  }
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
