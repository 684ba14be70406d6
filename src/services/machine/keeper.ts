import type { ActorRef, AnyActorLogic } from '../../actors/runtime/index.js'
import { SocketStreamError } from '../../errors.js'
import type { ServiceServer } from '../service.js'
import { type Audience, Entry, type KeyedRef, type Tenure } from './entry.js'
import type { CheckedMachineOptions, MachineContext } from './options.js'
import { tenured } from './tenured.js'

/** Milliseconds after which there may be room for another actor. */
const RETRY_AFTER = 1000
/** Milliseconds that an actor has to come to its end where another server waits for it. */
const LAST = 10_000
/** Living actors that a connection may have started, for each key that it may view at a time. */
const STARTED_PER_KEY = 10

/** What the keeper tells itself: nobody has used this entry for a while. */
interface Idle {
  readonly type: 'idle'
  readonly entry: Entry
}

/**
 * The actors of one service by key: starts them when they are asked for, stops them when idle.
 *
 * They are children of one actor, on whose timers they idle and which watches them.
 */
export class Keeper<Sees extends Audience> {
  readonly entries = new Map<string, Entry<Sees>>()
  readonly #logic: AnyActorLogic
  readonly #options: CheckedMachineOptions
  readonly #parent: ActorRef<Idle>
  readonly #audience: (key: string, tenure: Tenure | undefined) => Sees
  readonly #onidle: ((key: string) => void) | undefined
  /** Actors under a lease that come to their end. */
  readonly #closing = new Map<string, Promise<void>>()
  /** How many living actors each connection has had started. */
  readonly #started = new Map<string, number>()

  /**
   * @param audience makes whom an actor is shown to
   * @param onidle has `close` called of an actor that is used no more; without it that is done at once
   */
  constructor(
    server: ServiceServer,
    logic: AnyActorLogic,
    options: CheckedMachineOptions,
    audience: (key: string, tenure: Tenure | undefined) => Sees,
    onidle?: (key: string) => void,
  ) {
    this.#logic = logic
    this.#options = options
    this.#audience = audience
    this.#onidle = onidle
    this.#parent = server.spawn('machines', {
      receive: (_state, { entry }: Idle) => this.#sleep(entry as Entry<Sees>),
    })
  }

  /**
   * Does something with the actor of a key, which is started if need be and kept meanwhile.
   *
   * @throws SocketStreamError `OVERLOADED` when there are too many
   */
  async use<T>(
    key: string,
    ctx: MachineContext,
    action: (entry: Entry<Sees>, ref: KeyedRef) => Promise<T>,
  ): Promise<T> {
    const entry = this.#open(key, ctx, this.entries.get(key)?.tenure)
    entry.awake?.()
    entry.awake = undefined
    entry.busy++
    try {
      return await action(entry, entry.ref!)
    } finally {
      entry.busy--
      this.#settle(entry)
    }
  }

  /** Begins the actor of a key under a lease; rejects when it cannot. */
  async open(key: string, ctx: MachineContext, tenure: Tenure): Promise<Entry<Sees>> {
    await this.#closing.get(key)
    const entry = this.#open(key, ctx, tenure)
    entry.busy++
    try {
      await entry.begun()
      return entry
    } finally {
      entry.busy--
      this.#settle(entry)
    }
  }

  /** Ends the actor of a key: at once, or when it has handled and saved what it has been sent. */
  close(key: string, how: 'now' | 'drained'): Promise<void> {
    const entry = this.entries.get(key)
    if (entry === undefined) return Promise.resolve()
    const { ref } = entry
    const drained = how === 'drained' && ref !== undefined ? this.#drained(ref) : Promise.resolve()
    const closed = drained.then(() => this.#forget(entry))
    if (how === 'now') this.#forget(entry)
    this.#closing.set(key, closed)
    return closed.finally(() => {
      if (this.#closing.get(key) === closed) this.#closing.delete(key)
    })
  }

  /** Somebody has left: lets go of an actor that is in use no more. */
  left(key: string): void {
    const entry = this.entries.get(key)
    if (entry !== undefined) this.#settle(entry)
  }

  #open(key: string, ctx: MachineContext, tenure: Tenure | undefined): Entry<Sees> {
    const known = this.entries.get(key)
    if (known?.ref !== undefined) return known
    const { input, persist, limit } = this.#options
    if (known === undefined && this.entries.size >= limit) {
      const full = `There are ${limit} actors already; try again when some have gone`
      throw new SocketStreamError('OVERLOADED', full, { retryAfter: RETRY_AFTER })
    }
    const started = this.#started.get(ctx.connectionId) ?? 0
    const most = this.#options.keys * STARTED_PER_KEY
    if (started >= most) {
      const full = `A connection may have ${most} actors started; try again when some have gone`
      throw new SocketStreamError('OVERLOADED', full, { retryAfter: RETRY_AFTER })
    }
    const logic = tenure === undefined ? this.#logic : tenured(this.#logic, tenure)
    const fence = tenure && { fence: tenure.fence }
    const ref = this.#parent.spawn(key, logic, {
      ...(input !== undefined && { input: input(key, ctx) }),
      ...(persist !== undefined && { persist: { ...persist, ...fence } }),
    }) as KeyedRef
    const entry = known ?? new Entry(key, this.#audience(key, tenure), tenure)
    this.entries.set(key, entry)
    if (entry.starter === undefined) {
      entry.starter = ctx.connectionId
      this.#started.set(ctx.connectionId, started + 1)
    }
    entry.begin(ref)
    this.#follow(entry, ref)
    return entry
  }

  #follow(entry: Entry<Sees>, ref: KeyedRef): void {
    let cause: unknown
    entry.ends.push(
      ref.subscribe(snapshot => entry.changed(snapshot)),
      this.#parent.watch(ref, event => {
        if (event.type === 'crashed') cause = event.error
        if (event.type !== 'stopped') return
        for (const end of entry.ends.splice(0)) end()
        const snapshot = ref.getSnapshot() as { status?: unknown } | undefined
        if (snapshot?.status !== 'done') entry.failed(cause)
        else if (!entry.done) entry.changed(snapshot)
        this.#settle(entry)
      }),
    )
  }

  #discharge({ starter }: Entry<Sees>): void {
    if (starter === undefined) return
    const left = (this.#started.get(starter) ?? 0) - 1
    if (left > 0) this.#started.set(starter, left)
    else this.#started.delete(starter)
  }

  /** Nobody may be using it any more: lets go of it, at once when it has failed. */
  #settle(entry: Entry<Sees>): void {
    // Once the server has stopped, a timer would only keep the process.
    if (entry.inUse || this.entries.get(entry.key) !== entry || !this.#parent.live) return
    if (entry.ref === undefined) return this.#sleep(entry)
    entry.awake?.()
    entry.awake = this.#parent.schedule(this.#options.idle, { type: 'idle', entry })
  }

  #sleep(entry: Entry<Sees>): void {
    if (entry.inUse || this.entries.get(entry.key) !== entry) return
    if (this.#onidle === undefined) this.#forget(entry)
    else this.#onidle(entry.key)
  }

  #forget(entry: Entry<Sees>): void {
    if (this.entries.get(entry.key) !== entry) return
    entry.awake?.()
    for (const end of entry.ends.splice(0)) end()
    this.entries.delete(entry.key)
    this.#discharge(entry)
    entry.ref?.stop()
  }

  /** Resolves when an actor has stopped by itself and is saved, or time is up. */
  async #drained(ref: KeyedRef): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, LAST)
      timer.unref()
      this.#parent.watch(ref, ({ type }) => {
        if (type !== 'stopped') return
        clearTimeout(timer)
        resolve()
      })
      ref.stop({ drain: true })
    })
    await ref.allSaved()
  }
}
