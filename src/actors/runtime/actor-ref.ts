import type { AnyActorLogic, EventFromLogic, SnapshotFrom } from 'xstate'
import { SocketStreamError } from '../../errors.js'
import { DRAINING, STOPPED, TAPPED, WAITING } from './actor-cell.js'
import { ActorLife } from './actor-life.js'
import { type AskOptions, ask, perform } from './ask.js'
import { type Behaviour, DEFAULT_CAPACITY, type SpawnOptions } from './behaviour.js'
import { MeasuredMailbox } from './mailbox.js'
import { invalid, type LogicOptions, understand } from './spawning.js'
import type { ActorSystem } from './system.js'
import { Tap, type TapFilter, type TapListener } from './tap.js'
import type { WatchListener } from './watch.js'

/**
 * An actor: its address, mailbox and place in the tree. It stays the same through restarts.
 *
 * Messages are handled one at a time, in the order told. An idle actor told from outside any handler
 * is served straight through, without its mailbox.
 */
export class ActorRef<Message extends object, View = unknown> extends ActorLife<Message, View> {
  /** @internal The root of a system. */
  static root(system: ActorSystem): ActorRef<never> {
    const root = new ActorRef<never>(system, undefined, '', { receive() {} })
    system.counters.actors++
    root.begin(false)
    return root
  }

  /**
   * Starts a child: a behaviour, or an XState machine or other actor logic.
   *
   * What `initial` throws is thrown here, and there is no child then. With `persist` it begins once the
   * saved state is loaded; messages wait meanwhile, and what fails then is a crash.
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
    if (this.flags & STOPPED) throw stoppedError(`${this.path || '/'} has stopped: it cannot spawn "${name}"`)
    this.offspring ??= new Map()
    if (this.offspring.has(name)) throw stoppedError(`${this.path}/${name} exists: choose another name`)
    const self = this as unknown as ActorRef<never>
    const [behaviour, settings] = understand(this.system, name, what, options)
    const child = new ActorRef<never>(this.system, self, name, behaviour, settings)
    this.offspring.set(name, child)
    this.system.counters.actors++
    this.system.registry.changed('appeared', child)
    try {
      child.begin(settings?.persist !== undefined)
    } catch (error) {
      child.stop()
      throw error
    }
    return child
  }

  /** Sends a message. Returns false when it is not taken; it is a dead letter then, or was refused. */
  tell(message: Message): boolean {
    if (this.flags === 0) {
      const queue = this.system.queue
      if (!queue.busy) {
        queue.runThrough(this, message)
        return true
      }
      if (this.plain && queue.offer(this, message)) return true
    }
    return this.enqueue(message)
  }

  /**
   * Sends a message that carries a reply function, and waits for the reply.
   *
   * Where the actor saves its state, the reply is heard once what it acknowledges is saved.
   *
   * @throws SocketStreamError `MAILBOX_FULL` with `retryAfter`, `ACTOR_STOPPED`, `ACTOR_CRASHED`,
   *   `PERSIST_FAILED`, `ASK_TIMEOUT` or `CANCELLED`
   */
  ask<Reply>(make: (reply: (value: Reply) => void) => Message, options: AskOptions): Promise<Reply> {
    return ask(this, make, options, this.system.timers)
  }

  /**
   * Sends a message and waits until it has been handled, and saved where the actor saves.
   *
   * @throws SocketStreamError `MAILBOX_FULL` with `retryAfter`, `ACTOR_STOPPED`, `ACTOR_CRASHED`,
   *   `PERSIST_FAILED`, `ASK_TIMEOUT` or `CANCELLED`
   */
  perform(message: Message, options: AskOptions): Promise<void> {
    return perform(this, message, options, this.system.timers)
  }

  /**
   * Calls back with what can be seen of its state: at once if it runs, then after every change.
   *
   * Where the actor saves its state, after it is saved. Goes on through restarts.
   *
   * @returns what ends it
   */
  subscribe(listener: (view: View) => void): () => void {
    const entry = (view: unknown): void => listener(view as View)
    if (this.flags & STOPPED) return () => {}
    const extras = this.more()
    extras.subscribers ??= new Map()
    extras.subscribers.set(entry, UNSEEN)
    const shown = extras.persistence === undefined ? this.shown() : extras.published
    if (shown !== undefined && (this.flags & WAITING) === 0) this.publishTo(entry, shown)
    return () => {
      extras.subscribers?.delete(entry)
      if (extras.subscribers?.size === 0) extras.subscribers = undefined
    }
  }

  /** Resolves when there is room in its mailbox again. @throws SocketStreamError `ACTOR_STOPPED` */
  ready(): Promise<void> {
    if (this.live && !this.isFull(this.extras?.refused as Message | undefined)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new SocketStreamError('ACTOR_STOPPED', `${this.path} has stopped`))
      if (!this.live) return ended()
      const forget = this.onEnd(ended)
      const extras = this.more()
      extras.room ??= new Set()
      extras.room.add(() => {
        forget()
        resolve()
      })
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
    if (this.flags & STOPPED) return () => {}
    const listener: WatchListener = event =>
      this.urge(() => {
        if (this.extras?.own?.has(end) !== true) return
        if (event.type === 'stopped') end()
        fn(event)
      })
    const end = (target as ActorRef<never>).watched(listener, () => this.disowns(end))
    this.owns(end)
    if ((target as ActorRef<never>).flags & STOPPED) listener({ type: 'stopped', path: target.path })
    return end
  }

  /** Tells itself a message after `ms`, late by up to 10 ms; returns what cancels it. */
  schedule(ms: number, message: Message): () => void {
    if (this.flags & STOPPED) return () => {}
    const cancel = this.system.timers.set(ms, () => {
      this.disowns(end)
      this.tell(message)
    })
    const end = (): void => {
      this.disowns(end)
      cancel()
    }
    this.owns(end)
    return end
  }

  /**
   * Stops it and everything below it. Idempotent.
   *
   * Waiting messages become dead letters, unless `drain` is set: then it takes no new ones, handles those
   * that wait, does the same with its children, and stops.
   */
  stop({ drain = false }: StopOptions = {}): void {
    if (this.flags & STOPPED) return
    if (drain) {
      this.flags |= DRAINING
      return this.getInLine()
    }
    this.end()
  }

  /** @internal Calls back after each message that it has handled, or each of some; returns what ends it. */
  tap(listener: TapListener, wants?: TapFilter): () => void {
    if (this.flags & STOPPED) return () => {}
    const extras = this.more()
    extras.tap ??= new Tap(this.system.counters)
    extras.tap.listeners.set(listener, wants)
    this.flags |= TAPPED
    return () => {
      const { tap } = extras
      if (tap?.listeners.delete(listener) !== true || tap.listeners.size > 0) return
      extras.tap = undefined
      this.flags &= ~TAPPED
    }
  }

  /** @internal Resolves when all that has begun to be saved is saved, of every actor of its system. */
  allSaved(): Promise<void> {
    return this.system.saved()
  }

  /** @internal Restarts it in its own turn, as after a crash; with the state last saved, where it saves. */
  restartNow(): void {
    this.urge(() => this.restart(this.options.persist !== undefined))
  }

  /** @internal What is known of it besides what it shows. */
  facts(): ActorFacts {
    const { extras, mailbox, options } = this
    return {
      logic: (this.behaviour as { readonly logic?: true }).logic === true,
      restarts: extras?.incarnation ?? 0,
      waiting: (this.flags & WAITING) !== 0,
      watchers: extras?.watchers?.size ?? 0,
      subscribers: extras?.subscribers?.size ?? 0,
      capacity: options.capacity ?? DEFAULT_CAPACITY,
      mailboxBytes: mailbox instanceof MeasuredMailbox ? mailbox.bytes : undefined,
    }
  }
}

/** What is known of an actor, for inspection. */
export interface ActorFacts {
  /** Whether it runs XState logic. */
  readonly logic: boolean
  readonly restarts: number
  /** Whether it takes no messages just now. */
  readonly waiting: boolean
  readonly watchers: number
  readonly subscribers: number
  readonly capacity: number
  /** Where its mailbox measures messages. */
  readonly mailboxBytes: number | undefined
}

/** The revision of one who has heard of none. */
const UNSEEN = Symbol('unseen')

/** How an actor stops. */
export interface StopOptions {
  /** Whether messages that wait are handled first. Default false. */
  readonly drain?: boolean
}

function stoppedError(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_STATE', message)
}
