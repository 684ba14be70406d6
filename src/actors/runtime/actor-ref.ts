import {
  type Actor,
  type AnyActorLogic,
  createActor,
  type EventFromLogic,
  type InputFrom,
  type SnapshotFrom,
} from 'xstate'
import { SocketStreamError } from '../../errors.js'
import { type AskOptions, ask } from './ask.js'
import { type Behaviour, DEFAULT_CAPACITY, type SpawnOptions } from './behaviour.js'
import { checkSpawnOptions } from './check-options.js'
import { type DeadLetterReason, messageType } from './dead-letters.js'
import { type Host, type KitEvent, type KitScope, kitLogic } from './logic.js'
import { logicBehaviour } from './logic-behaviour.js'
import { MeasuredMailbox } from './mailbox.js'
import { Ring } from './ring.js'
import type { Runnable } from './run-queue.js'
import { type OnCrash, Restarts } from './supervision.js'
import type { ActorSystem } from './system.js'
import type { WatchEvent, WatchListener } from './watch.js'

/** Options of an actor that runs XState logic. */
export type LogicOptions<Logic extends AnyActorLogic> = SpawnOptions<EventFromLogic<Logic>> & {
  /** What XState calls input: for the logic's first snapshot, also after a restart. */
  readonly input?: InputFrom<Logic>
  /** As of every actor, but XState logic that has failed cannot resume. Default `restart`. */
  readonly onCrash?: Exclude<OnCrash, 'resume'>
}

/** It takes no message now: it starts, or waits for its restart. */
const WAITING = 1
/** As many handlers as may are waiting for their promises. */
const BUSY = 2
const SCHEDULED = 4
/** Something is to be done before the next message. */
const URGENT = 8
const DRAINING = 16
const STOPPED = 32

/** What few actors need; made when first used. */
class Extras {
  readonly watchers = new Set<WatchListener>()
  /** Undone when it stops or restarts: its timers, and its watching of others. */
  readonly own = new Set<() => void>()
  /** Called when it stops: asks without an answer, who waits for room. */
  readonly ends = new Set<() => void>()
  readonly urgent = new Ring<() => void>()
  readonly room = new Set<() => void>()
  restarts: Restarts | undefined
  incarnation = 0
  inFlight = 0
}

/**
 * An actor: its address, mailbox and place in the tree. It stays the same through restarts.
 *
 * Messages are handled one at a time, in the order told. An idle actor told from outside any handler
 * is served straight through, without its mailbox.
 */
export class ActorRef<Message extends object, View = unknown> implements Host, Runnable {
  readonly path: string
  /** Messages handled so far. */
  handled = 0
  #flags = WAITING
  readonly #name: string
  readonly #system: ActorSystem
  readonly #parent: ActorRef<never> | undefined
  #behaviour: Behaviour<Message, unknown>
  readonly #options: SpawnOptions<Message>
  /** Whether the run queue may keep a message for it: no more is to be known than that one waits. */
  readonly #plain: boolean
  #actor: Actor<typeof kitLogic> | undefined
  #state: unknown
  #scope: KitScope | undefined
  #mailbox: Ring<Message> | MeasuredMailbox<Message> | undefined
  #children: Map<string, ActorRef<never>> | undefined
  #extras: Extras | undefined

  private constructor(
    system: ActorSystem,
    parent: ActorRef<never> | undefined,
    name: string,
    behaviour: Behaviour<Message, never>,
    options: SpawnOptions<Message> = NO_OPTIONS,
  ) {
    this.#system = system
    this.#parent = parent
    this.#name = name
    this.path = parent === undefined ? name : `${parent.path}/${name}`
    this.#behaviour = behaviour as unknown as Behaviour<Message, unknown>
    this.#options = options
    this.#plain = options === NO_OPTIONS || isPlain(options)
    this.#actor =
      parent === undefined
        ? createActor(kitLogic, { input: this })
        : createActor(kitLogic, { input: this, parent: parent.#actor!, id: this.path })
    this.#actor.start()
  }

  /** @internal The root of a system. */
  static root(system: ActorSystem): ActorRef<never> {
    const root = new ActorRef<never>(system, undefined, '', { receive() {} })
    system.counters.actors++
    root.#begin()
    return root
  }

  /** Whether it still takes messages. */
  get live(): boolean {
    return (this.#flags & (STOPPED | DRAINING)) === 0
  }

  /** Messages waiting, the one in hand not counted. */
  get depth(): number {
    const waiting = this.#mailbox === undefined ? 0 : this.#mailbox.length
    return this.#system.queue.keepsFor(this) ? waiting + 1 : waiting
  }

  /** Living children by name. */
  get children(): ReadonlyMap<string, ActorRef<never>> {
    return this.#children ?? NO_CHILDREN
  }

  /** What can be seen of its state: of a machine XState's snapshot, of a behaviour what it shows. */
  getSnapshot(): View {
    return this.#behaviour.snapshot?.(this.#state) as View
  }

  /**
   * Starts a child: a behaviour, or an XState machine or other actor logic.
   *
   * What `initial` throws is thrown here, and there is no child then.
   *
   * @param name unique among the living children; not empty, no `/`
   * @throws SocketStreamError `INVALID_OPTION`, or `INVALID_STATE` when the name is taken or this has stopped
   */
  spawn<M extends object, S>(name: string, behaviour: Behaviour<M, S>, options?: SpawnOptions<M>): ActorRef<M>
  spawn<L extends AnyActorLogic>(
    name: string,
    logic: L,
    options?: LogicOptions<L>,
  ): ActorRef<EventFromLogic<L>, SnapshotFrom<L>>
  spawn(name: string, what: object, options?: SpawnOptions & { input?: unknown }): ActorRef<never> {
    if (typeof name !== 'string' || name === '' || name.includes('/')) {
      throw invalid(`an actor's name must be a text without "/", not ${JSON.stringify(name)}`)
    }
    if (this.#flags & STOPPED)
      throw stoppedError(`${this.path || '/'} has stopped: it cannot spawn "${name}"`)
    this.#children ??= new Map()
    if (this.#children.has(name)) throw stoppedError(`${this.path}/${name} exists: choose another name`)
    const self = this as unknown as ActorRef<never>
    if (options !== undefined) checkSpawnOptions(options)
    const [behaviour, settings] = this.#understand(name, what, options)
    const child = new ActorRef<never>(this.#system, self, name, behaviour, settings)
    this.#children.set(name, child)
    this.#system.counters.actors++
    this.#system.registry.changed('appeared', child)
    try {
      child.#begin()
    } catch (error) {
      child.stop()
      throw error
    }
    return child
  }

  /** Sends a message. Returns false when it is not taken; it is a dead letter then, or was refused. */
  tell(message: Message): boolean {
    if (this.#flags === 0) {
      const queue = this.#system.queue
      if (!queue.busy) {
        queue.runThrough(this, message)
        return true
      }
      if (this.#plain && queue.offer(this, message)) return true
    }
    return this.#enqueue(message)
  }

  /**
   * Sends a message that carries a reply function, and waits for the reply.
   *
   * @throws SocketStreamError `MAILBOX_FULL` with `retryAfter`, `ACTOR_STOPPED`, `ASK_TIMEOUT` or
   *   `CANCELLED`
   */
  ask<Reply>(make: (reply: (value: Reply) => void) => Message, options: AskOptions): Promise<Reply> {
    return ask(this, make, options, this.#system.timers)
  }

  /** Resolves when there is room in its mailbox again. @throws SocketStreamError `ACTOR_STOPPED` */
  ready(): Promise<void> {
    if (this.live && !this.#isFull()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new SocketStreamError('ACTOR_STOPPED', `${this.path} has stopped`))
      if (!this.live) return ended()
      const { room, ends } = this.#more()
      room.add(() => {
        ends.delete(ended)
        resolve()
      })
      ends.add(ended)
    })
  }

  /**
   * Calls back when another actor crashes, restarts and stops, in this actor's own turn.
   *
   * Of one that has stopped it hears at once. Ends by itself when this actor stops or restarts.
   *
   * @returns what ends it
   */
  watch(target: { readonly path: string; readonly live: boolean }, fn: WatchListener): () => void {
    const { own } = this.#more()
    const listener: WatchListener = event =>
      this.urge(() => {
        if (!own.has(end)) return
        if (event.type === 'stopped') end()
        fn(event)
      })
    const end = (target as ActorRef<never>).watched(listener, () => own.delete(end))
    own.add(end)
    if ((target as ActorRef<never>).#flags & STOPPED) listener({ type: 'stopped', path: target.path })
    return end
  }

  /** Tells itself a message after `ms`, late by up to 10 ms; returns what cancels it. */
  schedule(ms: number, message: Message): () => void {
    const { own } = this.#more()
    const cancel = this.#system.timers.set(ms, () => {
      own.delete(end)
      this.tell(message)
    })
    const end = (): void => {
      own.delete(end)
      cancel()
    }
    own.add(end)
    return end
  }

  /**
   * Stops it and everything below it. Idempotent.
   *
   * Waiting messages become dead letters, unless `drain` is set: then it takes no new ones, handles those
   * that wait, does the same with its children, and stops.
   */
  stop({ drain = false }: StopOptions = {}): void {
    if (this.#flags & STOPPED) return
    if (drain) {
      this.#flags |= DRAINING
      return this.#schedule()
    }
    this.#end()
  }

  // ---- the run queue's part ---------------------------------------------------------------------

  /** @internal Handles waiting messages. */
  run(budget: number): number {
    let handled = 0
    while (handled < budget) {
      if ((this.#flags & (WAITING | BUSY | STOPPED)) !== 0) break
      if (this.#flags & URGENT) {
        this.#runUrgent()
        continue
      }
      const message = this.#mailbox?.shift()
      if (message === undefined) break
      handled++
      if (this.#extras !== undefined && this.#extras.room.size > 0) this.#tellRoom()
      this.take(message)
    }
    this.#flags &= ~SCHEDULED
    this.#settle()
    return handled || 1
  }

  /** @internal One message, through XState, which calls `handle`. */
  take(message: object): void {
    if ((this.#flags & ~SCHEDULED) === 0) this.#actor!.send(message as KitEvent)
    else if (this.#flags & STOPPED) this.#dead(message, 'stopped')
    else if (this.#flags & (WAITING | BUSY | URGENT)) {
      // It was kept by the run queue while something else came first.
      this.#mailbox ??= this.#createMailbox()
      this.#mailbox.unshift(message as Message)
      this.#settle()
    } else {
      this.#actor!.send(message as KitEvent)
      this.#settle()
    }
  }

  /** @internal Does something in this actor's turn, before the messages that wait. */
  urge(action: () => void): void {
    if (this.#flags & STOPPED) return
    this.#more().urgent.push(action)
    this.#flags |= URGENT
    this.#settle()
  }

  // ---- XState's part ----------------------------------------------------------------------------

  /** @internal Keeps the scope, through which children are stopped. */
  started(scope: KitScope): void {
    this.#scope = scope
  }

  /** @internal A message. */
  handle(message: object): void {
    this.handled++
    try {
      const outcome = this.#behaviour.receive(this.#state, message as Message, this)
      if (outcome !== undefined && isThenable(outcome)) this.#wait(outcome, message)
    } catch (error) {
      this.#crash(error, message)
    }
  }

  /** @internal The end, after a handler that is running. */
  ended(): void {
    if ((this.#flags & WAITING) === 0) this.#release(this.#behaviour, this.#state)
    const last = this.getSnapshot()
    // Whoever keeps the ref must not keep the state.
    this.#behaviour = ENDED
    this.#state = last
  }

  // ---- for other actors -------------------------------------------------------------------------

  /** @internal Adds a watcher; what it returns takes it away and calls `after`. */
  watched(listener: WatchListener, after: () => void): () => void {
    if ((this.#flags & STOPPED) === 0) this.#more().watchers.add(listener)
    return () => {
      this.#extras?.watchers.delete(listener)
      after()
    }
  }

  /** @internal Calls back when it stops; what it returns takes that back. */
  onEnd(callback: () => void): () => void {
    const { ends } = this.#more()
    ends.add(callback)
    return () => void ends.delete(callback)
  }

  // ---- mailbox ----------------------------------------------------------------------------------

  #enqueue(message: Message): boolean {
    if (this.#flags & (STOPPED | DRAINING)) {
      this.#dead(message, 'stopped')
      return false
    }
    const { overflow } = this.#options
    this.#mailbox ??= this.#createMailbox()
    const mailbox = this.#mailbox
    if (mailbox instanceof MeasuredMailbox) {
      const replaced = mailbox.replace(message)
      if (replaced !== undefined) {
        this.#dead(replaced, 'replaced')
        return true
      }
    }
    while (this.#isFull(message)) {
      const oldest = overflow === 'drop-oldest' ? mailbox.shift() : undefined
      if (oldest === undefined) return this.#refuse(message)
      this.#dead(oldest, 'dropped')
    }
    mailbox.push(message)
    if ((this.#flags & (SCHEDULED | WAITING | BUSY)) === 0) this.#schedule()
    return true
  }

  #createMailbox(): Ring<Message> | MeasuredMailbox<Message> {
    const { size, key } = this.#options
    return size === undefined && key === undefined ? new Ring() : new MeasuredMailbox(this.#options)
  }

  #isFull(message?: Message): boolean {
    if (this.depth >= (this.#options.capacity ?? DEFAULT_CAPACITY)) return true
    const mailbox = this.#mailbox
    if (!(mailbox instanceof MeasuredMailbox)) return false
    return message === undefined
      ? mailbox.bytes >= (this.#options.bytes ?? Number.POSITIVE_INFINITY)
      : !mailbox.fits(message)
  }

  #refuse(message: Message): false {
    if (this.#options.overflow !== 'backpressure') this.#dead(message, 'full')
    try {
      this.#behaviour.overflowed?.(this.#state, message, this)
    } catch (error) {
      this.#crash(error, message)
    }
    return false
  }

  #tellRoom(): void {
    if (this.#isFull()) return
    const { room } = this.#more()
    const waiting = [...room]
    room.clear()
    for (const resolve of waiting) resolve()
  }

  #dead(message: object, reason: DeadLetterReason): void {
    this.#system.deadLetter(this.path, message, reason)
  }

  #schedule(): void {
    if (this.#flags & SCHEDULED) return
    this.#flags |= SCHEDULED
    this.#system.queue.schedule(this)
  }

  /** Gets in line if there is something to do, and ends when it was to end after the last message. */
  #settle(): void {
    if (this.#flags & (STOPPED | SCHEDULED | WAITING | BUSY)) return
    if (this.#flags & URGENT || (this.#mailbox !== undefined && this.#mailbox.length > 0)) {
      return this.#schedule()
    }
    if ((this.#flags & DRAINING) === 0 || this.depth > 0 || (this.#extras?.inFlight ?? 0) > 0) return
    if (this.children.size === 0) return this.#end()
    for (const child of [...this.children.values()]) child.stop({ drain: true })
  }

  #runUrgent(): void {
    const action = this.#extras?.urgent.shift()
    if (this.#extras?.urgent.length === 0) this.#flags &= ~URGENT
    try {
      action?.()
    } catch (error) {
      this.#crash(error, undefined)
    }
  }

  /** Waits for what a handler promised. */
  #wait(outcome: PromiseLike<unknown>, message: object): void {
    const extras = this.#more()
    const { incarnation } = extras
    if (++extras.inFlight >= (this.#options.concurrency ?? 1)) this.#flags |= BUSY
    // One of an earlier incarnation has no say in this one.
    const current = (): boolean => (this.#flags & STOPPED) === 0 && extras.incarnation === incarnation
    const done = (): void => {
      if (!current()) return
      extras.inFlight--
      this.#flags &= ~BUSY
      this.#settle()
    }
    outcome.then(done, error => {
      if (current()) this.#crash(error, message)
      else this.#system.crashed(this.path, error, message)
      done()
    })
  }

  // ---- life -------------------------------------------------------------------------------------

  #understand(
    name: string,
    what: object,
    options: (SpawnOptions & { input?: unknown }) | undefined,
  ): [Behaviour<never, never>, SpawnOptions | undefined] {
    if (typeof (what as { receive?: unknown } | null)?.receive === 'function') {
      return [what as Behaviour<never, never>, options]
    }
    if (typeof (what as { transition?: unknown } | null)?.transition !== 'function') {
      throw invalid(`"${name}" must be a behaviour { receive } or XState logic`)
    }
    // Not kept with the options, so that it goes with the behaviour.
    const { input, ...settings } = options ?? {}
    const behaviour = logicBehaviour(what as AnyActorLogic, input, this.#system.timers)
    return [behaviour as unknown as Behaviour<never, never>, { onCrash: 'restart', ...settings }]
  }

  #begin(): void {
    const behaviour = this.#behaviour
    const state = behaviour.initial?.(this)
    if (this.#flags & STOPPED) return this.#release(behaviour, state)
    this.#state = state
    this.#flags &= ~WAITING
    this.#settle()
  }

  #crash(error: unknown, message: object | undefined): void {
    this.#system.crashed(this.path, error, message)
    if ((this.#flags & STOPPED) === 0)
      this.#supervise(error, message === undefined ? undefined : messageType(message))
  }

  /** Does what the options say about a crash. */
  #supervise(error: unknown, messageType: string | undefined): void {
    const action = this.#parent === undefined ? 'resume' : (this.#options.onCrash ?? 'resume')
    this.#notify({ type: 'crashed', path: this.path, error, messageType, action })
    if (action === 'resume' || this.#flags & STOPPED) return
    if (action === 'restart') return this.#restart()
    this.#end()
    const parent = this.#parent
    if (action === 'escalate') parent?.urge(() => parent.#supervise(error, messageType))
  }

  #restart(): void {
    const extras = this.#more()
    extras.restarts ??= new Restarts(this.#options.restart)
    const { clock, random } = this.#system
    const delay = extras.restarts.next(clock.now(), random)
    if (delay === undefined) return this.#end()
    const running = (this.#flags & WAITING) === 0
    // First of all, so that nothing that happens meanwhile gives it a message.
    this.#flags = (this.#flags | WAITING) & ~(BUSY | URGENT)
    if (running) {
      this.#stopChildren()
      this.#release(this.#behaviour, this.#state)
      if (this.#flags & STOPPED) return
    }
    extras.incarnation++
    extras.inFlight = 0
    while (extras.urgent.shift() !== undefined);
    for (const undo of [...extras.own]) undo()
    extras.own.clear()
    if (this.#options.restart?.mailbox === 'drop') this.#empty('restarted')
    if (delay > 0) extras.own.add(this.#system.timers.set(delay, () => this.#again()))
    else this.#again()
  }

  #again(): void {
    try {
      this.#begin()
    } catch (error) {
      return this.#crash(error, undefined)
    }
    if ((this.#flags & STOPPED) === 0) this.#notify({ type: 'restarted', path: this.path })
  }

  #stopChildren(): void {
    if (this.#children !== undefined) for (const child of [...this.#children.values()]) child.#end()
  }

  /** Ends an incarnation. */
  #release(behaviour: Behaviour<Message, unknown>, state: unknown): void {
    try {
      behaviour.stopped?.(state, this)
    } catch (error) {
      this.#system.crashed(this.path, error, undefined)
    }
  }

  #end(): void {
    if (this.#flags & STOPPED) return
    this.#flags = STOPPED | (this.#flags & WAITING)
    this.#stopChildren()
    if (this.#parent === undefined) this.#actor!.stop()
    else {
      this.#parent.#scope?.stopChild(this.#actor!)
      this.#parent.#children?.delete(this.#name)
    }
    this.#actor = undefined
    this.#system.counters.actors--
    this.#empty('stopped')
    const extras = this.#extras
    if (extras !== undefined) {
      for (const undo of [...extras.own]) undo()
      for (const end of [...extras.ends]) end()
      this.#notify({ type: 'stopped', path: this.path })
      extras.watchers.clear()
    }
    this.#system.registry.changed('disappeared', this as unknown as ActorRef<never>)
    if (this.#parent !== undefined && this.#parent.children.size === 0) this.#parent.#settle()
  }

  #empty(reason: DeadLetterReason): void {
    for (let m = this.#mailbox?.shift(); m !== undefined; m = this.#mailbox?.shift()) this.#dead(m, reason)
  }

  #notify(event: WatchEvent): void {
    if (this.#extras !== undefined) for (const listener of [...this.#extras.watchers]) listener(event)
  }

  #more(): Extras {
    this.#extras ??= new Extras()
    return this.#extras
  }
}

/** How an actor stops. */
export interface StopOptions {
  /** Whether messages that wait are handled first. Default false. */
  readonly drain?: boolean
}

const NO_OPTIONS: SpawnOptions = {}
const NO_CHILDREN: ReadonlyMap<string, ActorRef<never>> = new Map()
const ENDED: Behaviour<never, unknown> = { receive() {}, snapshot: last => last }

function isPlain({ capacity = DEFAULT_CAPACITY, size, key, overflow }: SpawnOptions): boolean {
  return capacity > 0 && size === undefined && key === undefined && overflow !== 'drop-oldest'
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', message)
}

function stoppedError(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_STATE', message)
}
