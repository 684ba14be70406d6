import type { ActorRef, AnyActorLogic } from '../../actors/runtime/index.js'
import { SocketStreamError } from '../../errors.js'
import type { ServiceServer } from '../service.js'
import { Entry, type KeyedRef } from './entry.js'
import type { CheckedMachineOptions, MachineContext } from './options.js'

/** Milliseconds after which there may be room for another actor. */
const RETRY_AFTER = 1000
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
export class Keeper {
  readonly entries = new Map<string, Entry>()
  readonly #server: ServiceServer
  readonly #logic: AnyActorLogic
  readonly #options: CheckedMachineOptions
  readonly #parent: ActorRef<Idle>
  /** How many living actors each connection has had started. */
  readonly #started = new Map<string, number>()

  constructor(server: ServiceServer, logic: AnyActorLogic, options: CheckedMachineOptions) {
    this.#server = server
    this.#logic = logic
    this.#options = options
    this.#parent = server.spawn('machines', { receive: (_state, { entry }: Idle) => this.#sleep(entry) })
  }

  /**
   * Does something with the actor of a key, which is started if need be and kept meanwhile.
   *
   * @throws SocketStreamError `OVERLOADED` when there are too many
   */
  async use<T>(
    key: string,
    ctx: MachineContext,
    action: (entry: Entry, ref: KeyedRef) => Promise<T>,
  ): Promise<T> {
    const entry = this.#open(key, ctx)
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

  /** Takes a viewer away. */
  leave(key: string, connectionId: string): void {
    const entry = this.entries.get(key)
    if (entry?.leave(connectionId)) this.#settle(entry)
  }

  #open(key: string, ctx: MachineContext): Entry {
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
    const ref = this.#parent.spawn(key, this.#logic, {
      ...(input !== undefined && { input: input(key, ctx) }),
      ...(persist !== undefined && { persist }),
    }) as KeyedRef
    const entry = known ?? new Entry({ server: this.#server, ...this.#options }, key)
    this.entries.set(key, entry)
    if (entry.starter === undefined) {
      entry.starter = ctx.connectionId
      this.#started.set(ctx.connectionId, started + 1)
    }
    entry.begin(ref)
    this.#follow(entry, ref)
    return entry
  }

  #follow(entry: Entry, ref: KeyedRef): void {
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

  #discharge({ starter }: Entry): void {
    if (starter === undefined) return
    const left = (this.#started.get(starter) ?? 0) - 1
    if (left > 0) this.#started.set(starter, left)
    else this.#started.delete(starter)
  }

  /** Nobody may be using it any more: lets go of it, at once when it has failed. */
  #settle(entry: Entry): void {
    // Once the server has stopped, a timer would only keep the process.
    if (entry.inUse || this.entries.get(entry.key) !== entry || !this.#parent.live) return
    if (entry.ref === undefined) return this.#sleep(entry)
    entry.awake?.()
    entry.awake = this.#parent.schedule(this.#options.idle, { type: 'idle', entry })
  }

  #sleep(entry: Entry): void {
    if (entry.inUse || this.entries.get(entry.key) !== entry) return
    entry.awake?.()
    for (const end of entry.ends.splice(0)) end()
    this.entries.delete(entry.key)
    this.#discharge(entry)
    entry.ref?.stop()
  }
}
