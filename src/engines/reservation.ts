import { type EngineClock, systemClock } from './clock.js'
import type { KeyValue, KeyValueEntry } from './key-value.js'

/** Writes of one thing, until it is given up. */
const ATTEMPTS = 3

/** What is reserved, and where. */
export interface ReservationInit {
  readonly kv: KeyValue
  readonly key: string
  /** What stands there as long as the work runs, unlike what anybody else writes. */
  readonly running: Uint8Array
  /** Milliseconds after which the key of somebody who has died is free; it is renewed every third of them. */
  readonly ttl: number
  readonly clock?: EngineClock
}

/** Reserves a key; resolves to what stands there when somebody has it already. Rejects with what the engine refuses it with. */
export async function reserve(init: ReservationInit): Promise<Reservation | KeyValueEntry> {
  const { kv, key, running, ttl } = init
  for (let attempt = 1; ; attempt++) {
    try {
      return new Reservation(init, await kv.set(key, running, { ifVersion: 0, ttl }))
    } catch (error) {
      if ((error as { code?: unknown })?.code !== 'ENGINE_CONFLICT' || attempt === ATTEMPTS) throw error
    }
    const entry = await kv.get(key)
    if (entry !== undefined) return entry
  }
}

/**
 * A key that somebody holds while some work is done, renewed until it has the outcome.
 *
 * Nobody who has taken the key meanwhile is disturbed, and a write whose answer was lost counts if it took effect.
 */
export class Reservation {
  readonly #init: ReservationInit
  readonly #clock: EngineClock
  #version: number
  /** Writes, one after another: each needs the version of the one before. */
  #writing: Promise<unknown> = Promise.resolve()
  #isWriting = false
  #timer: unknown

  /** @param version of the entry that reserves it */
  constructor(init: ReservationInit, version: number) {
    this.#init = init
    this.#clock = init.clock ?? systemClock
    this.#version = version
    this.#arm()
  }

  /**
   * Puts the outcome there, or frees the key. Rejects when it could not be written.
   *
   * @param ttl milliseconds for which the outcome is kept
   */
  end(outcome: Uint8Array | undefined, ttl: number): Promise<void> {
    this.#clock.clearTimeout(this.#timer)
    return this.#then(() => this.#write(outcome, ttl))
  }

  #arm(): void {
    const { running, ttl } = this.#init
    this.#timer = this.#clock.setTimeout(() => {
      this.#arm()
      // One renewal that fails is made up for by the next.
      if (!this.#isWriting) this.#then(() => this.#write(running, ttl)).catch(() => undefined)
    }, ttl / 3)
  }

  async #write(bytes: Uint8Array | undefined, ttl: number): Promise<void> {
    const { kv, key, running } = this.#init
    for (let attempt = 1; ; attempt++) {
      try {
        const ifVersion = this.#version
        if (bytes === undefined) await kv.delete(key, { ifVersion })
        else this.#version = await kv.set(key, bytes, { ifVersion, ttl })
        return
      } catch (error) {
        if (attempt === ATTEMPTS) throw error
      }
      // A write that failed may have taken effect. Unless that can be read the next one tells.
      const read = await kv.get(key).then(
        entry => ({ entry }),
        () => undefined,
      )
      if (read === undefined) continue
      const { entry } = read
      if (bytes !== undefined && entry !== undefined && same(entry.value, bytes)) {
        this.#version = entry.version
        return
      }
      // Another one has the key: so it stays.
      if (entry === undefined ? bytes === undefined : !same(entry.value, running)) return
      this.#version = entry?.version ?? 0
    }
  }

  #then(work: () => Promise<void>): Promise<void> {
    const write = async (): Promise<void> => {
      this.#isWriting = true
      try {
        await work()
      } finally {
        this.#isWriting = false
      }
    }
    const done = this.#writing.then(write)
    this.#writing = done.catch(() => undefined)
    return done
  }
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0
}
