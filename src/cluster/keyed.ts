import { pack, unpack } from '../codec/packed.js'
import type { Leases } from '../engines/lease.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { handled, isAbsence, noResponder } from './wire.js'

/** Things alive on one server at once. */
const MOST = 100_000
/** Milliseconds before a key whose holder is changing is looked for again. */
const AGAIN = 50

/** How one key lives. */
export interface KeyedInstance {
  /** Answers a call; one after the other is for the instance to see to. */
  call(payload: unknown): unknown
  /** It lives here no longer: because the server stops, or because its lease was lost. */
  stop?(): unknown
}

/** What an instance begins with. */
export interface KeyedStart {
  readonly key: string
  /** The fencing token: greater than that of every instance of this key before. Send it with what is written. */
  readonly fence: number
  /** Aborted when it lives here no longer. */
  readonly signal: AbortSignal
}

/** How things with keys begin. */
export interface KeyedBehaviour {
  start(init: KeyedStart): KeyedInstance | Promise<KeyedInstance>
}

/** Calls of things that live once in a cluster. */
export interface KeyedHandle {
  /**
   * Calls the instance of a key, wherever it lives; begins it here when it lives nowhere.
   *
   * Rejects with what it has thrown; with `TIMEOUT` when no answer came in time, or its server has died and its lease is
   * not over yet: nobody knows whether it was done. `OVERLOADED`, `ENGINE_UNAVAILABLE`.
   */
  call(key: string, payload?: unknown, options?: { readonly deadline?: number }): Promise<unknown>
  /** Ends the instance of a key, if it lives here; the next call begins it anew, perhaps elsewhere. */
  release(key: string): Promise<void>
  /** Keys that live here. */
  keys(): readonly string[]
}

/** What keyed things are made with. */
export interface KeyedInit {
  readonly name: string
  readonly node: string
  readonly leases: Leases
  /** Milliseconds. */
  readonly ttl: number
  readonly deadline: number
  readonly log: Logger
  readonly behaviour: KeyedBehaviour
  /** Asks the server that has a key. */
  ask(node: string, key: string, payload: unknown, deadline: number): Promise<unknown>
}

interface Held {
  readonly fence: number
  readonly ending: AbortController
  readonly instance: Promise<KeyedInstance>
  /** Until when the lease is this server's for certain, by its own clock: counted from before it was asked for. */
  until: number
}

/** Things of one name: those that live here under leases, and the way to the others. */
export class Keyed implements KeyedHandle {
  readonly #init: KeyedInit
  readonly #held = new Map<string, Held>()
  /** Keys that are being acquired. */
  readonly #beginning = new Map<string, Promise<boolean>>()
  readonly #timer: NodeJS.Timeout
  #stopped = false

  constructor(init: KeyedInit) {
    this.#init = init
    this.#timer = setInterval(() => this.#renew(), init.ttl / 3).unref()
  }

  async call(
    key: string,
    payload: unknown = null,
    options: { readonly deadline?: number } = {},
  ): Promise<unknown> {
    const { leases, node, ask } = this.#init
    const { deadline = this.#init.deadline } = options
    const last = performance.now() + deadline
    const bytes = pack(payload)
    for (;;) {
      const left = last - performance.now()
      if (left <= 0) throw late(key, deadline)
      try {
        if (this.#alive(key) !== undefined)
          return await this.#inTime(this.answer(key, unpack(bytes)), key, left)
        const lease = await leases.current(this.#lease(key))
        if (lease !== undefined && lease.holder !== node) {
          return await ask(lease.holder, key, payload, Math.max(1, last - performance.now()))
        }
        if (!(await this.#begin(key))) await pause(AGAIN)
      } catch (error) {
        // Nothing was done: who had it has died, or has just let go.
        if (!isAbsence(error) || this.#stopped) throw error
        await pause(AGAIN)
      }
    }
  }

  async release(key: string): Promise<void> {
    const held = this.#held.get(key)
    if (held !== undefined) await this.#end(key, held, true)
  }

  keys(): readonly string[] {
    return [...this.#held.keys()]
  }

  /** Answers a call for an instance that lives here. */
  async answer(key: string, payload: unknown): Promise<unknown> {
    const held = this.#alive(key)
    if (held === undefined) throw noResponder(`'${key}' does not live on this server`)
    const instance = await held.instance
    // It may have been paused for so long that another one lives by now.
    if (this.#alive(key) !== held) throw noResponder(`'${key}' lives on this server no longer`)
    return unpack(pack((await handled(() => instance.call(payload))) ?? null))
  }

  /** Ends all that lives here, and gives it back. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await Promise.all([...this.#held].map(([key, held]) => this.#end(key, held, true)))
  }

  #alive(key: string): Held | undefined {
    const held = this.#held.get(key)
    if (held === undefined || performance.now() < held.until) return held
    this.#init.log.warn(`the lease of '${key}' was not renewed in time: it lives here no longer`)
    void this.#end(key, held, false)
    return undefined
  }

  #begin(key: string): Promise<boolean> {
    const standing = this.#beginning.get(key)
    if (standing !== undefined) return standing
    const beginning = this.#acquire(key).finally(() => this.#beginning.delete(key))
    this.#beginning.set(key, beginning)
    return beginning
  }

  async #acquire(key: string): Promise<boolean> {
    const { leases, node, ttl, behaviour } = this.#init
    if (this.#stopped) throw noResponder('This server is stopping')
    if (this.#held.size >= MOST)
      throw new SocketStreamError('OVERLOADED', `${MOST} keys live on this server already`)
    const asked = performance.now()
    const got = await leases.acquire(this.#lease(key), ttl, node)
    if (got === undefined) return false
    const { token: fence } = got
    if (this.#stopped) {
      await leases.release(this.#lease(key), fence)
      return false
    }
    const ending = new AbortController()
    const begin = () => behaviour.start({ key, fence, signal: ending.signal })
    const instance = handled(begin) as Promise<KeyedInstance>
    const held: Held = { fence, ending, instance, until: asked + ttl }
    this.#held.set(key, held)
    try {
      await instance
    } catch (error) {
      await this.#end(key, held, true)
      throw error
    }
    return true
  }

  #renew(): void {
    const { leases, ttl } = this.#init
    for (const [key, held] of this.#held) {
      const asked = performance.now()
      leases.renew(this.#lease(key), held.fence, ttl).then(
        isStill => {
          if (this.#held.get(key) !== held) return
          if (isStill) held.until = asked + ttl
          else void this.#end(key, held, false)
        },
        // The next one tries again, for as long as the lease lasts.
        () => void this.#alive(key),
      )
    }
  }

  async #end(key: string, held: Held, release: boolean): Promise<void> {
    if (this.#held.get(key) !== held) return
    this.#held.delete(key)
    held.ending.abort()
    try {
      const instance = await held.instance
      await instance.stop?.()
    } catch (error) {
      this.#init.log.error(`the end of '${key}' failed`, { error })
    }
    // Only now may another one begin.
    if (release) await this.#init.leases.release(this.#lease(key), held.fence).catch(() => undefined)
  }

  async #inTime(work: Promise<unknown>, key: string, ms: number): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined
    const isLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(late(key, ms)), ms)
    })
    try {
      return await Promise.race([work, isLate])
    } finally {
      clearTimeout(timer)
    }
  }

  #lease(key: string): string {
    return `$cluster/${this.#init.name}/${key}`
  }
}

function late(key: string, ms: number): SocketStreamError {
  return new SocketStreamError(
    'TIMEOUT',
    `'${key}' did not answer within ${Math.round(ms)} ms; it may have done what was asked`,
  )
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
