import { pack, unpack } from '../codec/packed.js'
import type { EngineClock } from '../engines/clock.js'
import type { Leases } from '../engines/lease.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { handled, noResponder } from './absence.js'
import type { AnswerContext } from './answering.js'
import { atMost } from './clock.js'

/** Things alive on one server at once. */
const MOST = 100_000

/** How one key lives. */
export interface KeyedInstance<Payload = unknown, Answer = unknown> {
  /** Answers a call; one after the other is for the instance to see to. */
  call(payload: Payload, context: AnswerContext): Answer
  /**
   * It lives here no longer: because the server stops, or because its lease was lost. Until what it returns has settled,
   * no other one begins, unless the lease was lost.
   */
  stop?(): unknown
}

/** What an instance begins with. */
export interface KeyedStart {
  readonly key: string
  /** The fencing token: greater than that of every instance of this key before. Send it with what is written. */
  readonly fence: number
  /** Aborted when it lives here no longer. */
  readonly signal: AbortSignal
  /**
   * Throws once the lease is over by this server's clock: to be called before anything that others can see, as the process
   * may have been paused. Thrown out of `call`, or as the `cause` of what is, it has the call made again elsewhere.
   *
   * @throws SocketStreamError `NO_RESPONDER`
   */
  check(): void
}

/** How things with keys begin. */
// biome-ignore lint/suspicious/noExplicitAny: a behaviour may say what it takes; what comes is for it to check
export interface KeyedBehaviour<Payload = any, Answer = unknown> {
  start(init: KeyedStart): KeyedInstance<Payload, Answer> | Promise<KeyedInstance<Payload, Answer>>
}

/** What instances are made with. */
export interface InstancesInit {
  readonly node: string
  readonly leases: Leases
  /** Milliseconds. */
  readonly ttl: number
  /** Milliseconds for which the engine is waited for when a lease is given back. */
  readonly deadline: number
  readonly clock: EngineClock
  readonly log: Logger
  readonly behaviour: KeyedBehaviour
  /** The name of a key's lease. */
  lease(key: string): string
}

interface Held {
  readonly fence: number
  readonly ending: AbortController
  readonly instance: Promise<KeyedInstance>
  /** What `check` has thrown. */
  readonly refusals: WeakSet<object>
  /** Until when the lease is this server's for certain, by its own clock: counted from before it was asked for. */
  until: number
}

/** What lives on this server, each under a lease. */
export class Instances {
  readonly #init: InstancesInit
  readonly #held = new Map<string, Held>()
  /** Those that come to their end: their leases are kept until then. */
  readonly #ending = new Map<Held, { readonly key: string; readonly done: Promise<void> }>()
  /** Keys that are being acquired. */
  readonly #beginning = new Map<string, Promise<boolean>>()
  #timer: unknown
  #stopped = false

  constructor(init: InstancesInit) {
    this.#init = init
    this.#arm()
  }

  get keys(): readonly string[] {
    return [...this.#held.keys()]
  }

  /** Whether a key lives here, under a lease that is not over. */
  has(key: string): boolean {
    return this.#alive(key) !== undefined
  }

  /** Answers a call for an instance that lives here. */
  async answer(key: string, payload: unknown, context: AnswerContext): Promise<unknown> {
    const held = this.#alive(key)
    if (held === undefined) throw noResponder(`'${key}' does not live on this server`)
    const instance = await held.instance
    // It may have been paused for so long that another one lives by now.
    if (this.#alive(key) !== held) throw noResponder(`'${key}' lives on this server no longer`)
    try {
      return unpack(pack((await handled(() => instance.call(payload, context))) ?? null))
    } catch (error) {
      if (isRefusal(held, error) || isRefusal(held, (error as Error)?.cause)) {
        throw noResponder(`'${key}' lives on this server no longer`)
      }
      throw error
    }
  }

  /** Begins a key here; false when another server has it. */
  begin(key: string): Promise<boolean> {
    const standing = this.#beginning.get(key)
    if (standing !== undefined) return standing
    const beginning = this.#acquire(key).finally(() => this.#beginning.delete(key))
    this.#beginning.set(key, beginning)
    return beginning
  }

  /** Ends a key if it lives here, and gives its lease back. */
  async release(key: string): Promise<void> {
    const held = this.#held.get(key)
    if (held !== undefined) return this.#end(key, held, true)
    for (const ending of this.#ending.values()) if (ending.key === key) await ending.done
  }

  /** Ends all that lives here, and gives it back. */
  async releaseAll(): Promise<void> {
    await Promise.all([...this.#held].map(([key, held]) => this.#end(key, held, true)))
  }

  /** The same, for good. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.releaseAll()
    await Promise.all([...this.#ending.values()].map(({ done }) => done))
    this.#init.clock.clearTimeout(this.#timer)
  }

  #alive(key: string): Held | undefined {
    const held = this.#held.get(key)
    if (held === undefined || this.#init.clock.now() < held.until) return held
    this.#init.log.warn(`the lease of '${key}' was not renewed in time: it lives here no longer`)
    void this.#end(key, held, false)
    return undefined
  }

  async #acquire(key: string): Promise<boolean> {
    const { leases, node, ttl, behaviour, clock } = this.#init
    if (this.#stopped) throw noResponder('This server is stopping')
    if (this.#held.size >= MOST)
      throw new SocketStreamError('OVERLOADED', `${MOST} keys live on this server already`)
    const asked = clock.now()
    const got = await leases.acquire(this.#init.lease(key), ttl, node)
    if (got === undefined) return false
    const { token: fence } = got
    if (this.#stopped) {
      await leases.release(this.#init.lease(key), fence)
      return false
    }
    const ending = new AbortController()
    const check = (): void => {
      if (this.#held.get(key) === held && this.#alive(key) === held) return
      if (this.#ending.has(held) && clock.now() < held.until) return
      const error = new SocketStreamError('NO_RESPONDER', `'${key}' lives on this server no longer`)
      held.refusals.add(error)
      throw error
    }
    // Not at once: `check` needs what is made here.
    const begin = () =>
      Promise.resolve().then(() => behaviour.start({ key, fence, signal: ending.signal, check }))
    const instance = handled(begin) as Promise<KeyedInstance>
    const held: Held = { fence, ending, instance, until: asked + ttl, refusals: new WeakSet() }
    this.#held.set(key, held)
    try {
      await instance
    } catch (error) {
      await this.#end(key, held, true)
      throw error
    }
    return true
  }

  #arm(): void {
    const { clock, ttl } = this.#init
    this.#timer = clock.setTimeout(() => {
      this.#arm()
      for (const [key, held] of this.#held) this.#renew(key, held)
      for (const [held, { key }] of this.#ending) this.#renew(key, held)
    }, ttl / 3)
  }

  #renew(key: string, held: Held): void {
    const { leases, ttl, clock } = this.#init
    if (this.#held.get(key) === held && this.#alive(key) === undefined) return
    const asked = clock.now()
    leases.renew(this.#init.lease(key), held.fence, ttl).then(
      isStill => {
        if (isStill) held.until = asked + ttl
        else {
          held.until = 0
          void this.#end(key, held, false)
        }
      },
      // The next one tries again, for as long as the lease lasts.
      () => void this.#alive(key),
    )
  }

  async #end(key: string, held: Held, release: boolean): Promise<void> {
    if (this.#held.get(key) !== held) return
    this.#held.delete(key)
    const done = this.#finish(key, held, release)
    if (release) this.#ending.set(held, { key, done })
    await done
    this.#ending.delete(held)
  }

  async #finish(key: string, held: Held, release: boolean): Promise<void> {
    held.ending.abort()
    const instance = await held.instance.catch(() => undefined)
    try {
      await instance?.stop?.()
    } catch (error) {
      this.#init.log.error(`the end of '${key}' failed`, { error })
    }
    if (!release) return
    // Only now may another one begin.
    const { leases, lease, clock, deadline } = this.#init
    await atMost(clock, deadline, leases.release(lease(key), held.fence))
  }
}

function isRefusal(held: Held, error: unknown): boolean {
  return typeof error === 'object' && error !== null && held.refusals.has(error)
}
