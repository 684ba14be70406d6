import { type Actor, createActor } from 'xstate'
import { SocketStreamError } from '../../errors.js'
import { isThenable } from '../../thenable.js'
import type { ActorRef } from './actor-ref.js'
import { type Behaviour, DEFAULT_CAPACITY, type SpawnOptions } from './behaviour.js'
import type { DeadLetterReason } from './dead-letters.js'
import { Extras } from './extras.js'
import { type Host, type KitEvent, type KitScope, kitLogic } from './logic.js'
import { createMailbox, isPlain, type Mailbox, MeasuredMailbox } from './mailbox.js'
import type { Acknowledgement } from './persistence.js'
import { type Receipt, Receipts } from './receipts.js'
import { Ring } from './ring.js'
import type { Runnable } from './run-queue.js'
import { slim } from './slim.js'
import { persistenceOf } from './spawning.js'
import type { ActorSystem } from './system.js'

/** It takes no message now: it starts, or waits for its restart. */
export const WAITING = 1
/** As many handlers as may are waiting for their promises. */
export const BUSY = 2
const SCHEDULED = 4
/** Something is to be done before the next message. */
export const URGENT = 8
export const DRAINING = 16
export const STOPPED = 32
/** Somebody sees its messages: they all go through its mailbox, where it is known who told them. */
export const TAPPED = 64
/** Milliseconds after which a full mailbox is worth another try. */
export const RETRY_AFTER = 100

export const NO_OPTIONS: SpawnOptions = {}
const NO_CHILDREN: ReadonlyMap<string, ActorRef<never>> = new Map()
const ENDED: Behaviour<never, unknown> = { receive() {}, snapshot: last => last }

/**
 * The first part of an actor: its mailbox, and the turns in which it handles what is in it.
 *
 * An actor is one object in three classes, of which `ActorRef` is the last: `ActorLife` adds how it begins,
 * fails and ends, `ActorRef` what others see of it.
 */
export abstract class ActorCell<Message extends object, View = unknown> implements Host, Runnable {
  readonly path: string
  /** Messages handled so far. */
  handled = 0
  protected flags = WAITING
  protected readonly ownName: string
  protected readonly system: ActorSystem
  protected readonly parent: ActorRef<never> | undefined
  protected behaviour: Behaviour<Message, unknown>
  protected readonly options: SpawnOptions<Message>
  /** Whether the run queue may keep a message for it: no more is to be known than that one waits. */
  protected readonly plain: boolean
  protected actor: Actor<typeof kitLogic> | undefined
  protected state: unknown
  protected mailbox: Mailbox<Message> | undefined
  protected offspring: Map<string, ActorRef<never>> | undefined
  protected extras: Extras | undefined

  protected constructor(
    system: ActorSystem,
    parent: ActorRef<never> | undefined,
    name: string,
    behaviour: Behaviour<Message, never>,
    options: SpawnOptions<Message> = NO_OPTIONS,
  ) {
    this.system = system
    this.parent = parent
    this.ownName = name
    this.path = parent === undefined ? name : `${parent.path}/${name}`
    this.behaviour = behaviour as unknown as Behaviour<Message, unknown>
    this.options = options
    this.plain = options === NO_OPTIONS || isPlain(options)
    this.actor =
      parent === undefined
        ? createActor(kitLogic, { input: this as Host })
        : createActor(kitLogic, { input: this as Host, parent: system.scope.self, id: this.path })
    const { persist } = options
    if (persist !== undefined) this.more().persistence = persistenceOf(system, this.path, persist)
    this.actor.start()
    slim(this.actor, system.scope)
  }

  /** Whether it still takes messages. */
  get live(): boolean {
    return (this.flags & (STOPPED | DRAINING)) === 0
  }

  /** Messages waiting, the one in hand not counted. */
  get depth(): number {
    const waiting = this.mailbox === undefined ? 0 : this.mailbox.length
    return this.system.queue.keepsFor(this) ? waiting + 1 : waiting
  }

  /** Living children by name. */
  get children(): ReadonlyMap<string, ActorRef<never>> {
    return this.offspring ?? NO_CHILDREN
  }

  /** What can be seen of its state: of a machine XState's snapshot, of a behaviour what it shows. */
  getSnapshot(): View {
    // It has not begun yet: there is no state that a behaviour could show.
    if (this.state === undefined && this.flags & WAITING) return undefined as View
    return this.behaviour.snapshot?.(this.state) as View
  }

  /** @internal Handles waiting messages. */
  run(budget: number): number {
    let handled = 0
    while (handled < budget) {
      if ((this.flags & (WAITING | BUSY | STOPPED)) !== 0) break
      if (this.flags & URGENT) {
        this.runUrgent()
        continue
      }
      const message = this.mailbox?.shift()
      if (message === undefined) break
      handled++
      this.take(message)
    }
    this.flags &= ~SCHEDULED
    this.settle()
    return handled || 1
  }

  /** @internal One message, through XState, which calls `handle`. */
  take(message: object): void {
    if (this.extras?.room !== undefined) this.tellRoom(this.extras)
    if ((this.flags & ~SCHEDULED) === 0) this.actor!.send(message as KitEvent)
    else if (this.flags & STOPPED) this.dead(message, 'stopped')
    else if (this.flags & (WAITING | BUSY | URGENT)) {
      // It was kept by the run queue while something else came first.
      this.mailbox ??= createMailbox(this.options)
      this.mailbox.unshift(message as Message)
      this.settle()
    } else {
      this.actor!.send(message as KitEvent)
      this.settle()
    }
  }

  /** @internal Does something in this actor's turn, before the messages that wait. */
  urge(action: () => void): void {
    if (this.flags & STOPPED) return
    const extras = this.more()
    extras.urgent ??= new Ring()
    extras.urgent.push(action)
    this.flags |= URGENT
    this.settle()
  }

  /** @internal What XState wants to know of an actor that runs. */
  get status(): 'active' {
    return 'active'
  }

  /** @internal Keeps the scope of the root, through which all are stopped: for XState they are its children. */
  started(scope: KitScope): void {
    if (this.parent === undefined) this.system.scope = scope
  }

  /** @internal A message. */
  handle(message: object): void {
    const { extras: before } = this
    if (before !== undefined) {
      const { tap, persistence } = before
      if (tap !== undefined && !tap.inside) return tap.around(this, message)
      if (persistence !== undefined) persistence.open = true
    }
    this.handled++
    try {
      const outcome = this.behaviour.receive(this.state, message as Message, this.self)
      if (outcome !== undefined && isThenable(outcome)) return this.wait(outcome, message)
    } catch (error) {
      return this.crash(error, message)
    }
    const { extras } = this
    if (extras?.observed === true) this.completed(extras, message)
  }

  /** @internal The end, after a handler that is running. */
  ended(): void {
    const { current } = this.system.queue
    if (current instanceof ActorCell && current !== this && current.isRunningBelow(this.path)) {
      // Its handler has stopped an actor above it, and is to come to its own end first.
      const extras = current.more()
      extras.above ??= []
      extras.above.push(() => this.ended())
      return
    }
    if ((this.flags & WAITING) === 0) this.release(this.behaviour, this.state)
    const last = this.lastView()
    // Whoever keeps the ref must not keep the state.
    this.behaviour = ENDED
    this.state = last
    const { extras } = this
    if (extras === undefined) return
    if (!extras.saving) extras.subscribers = undefined
    for (const end of extras.above?.splice(0) ?? []) end()
  }

  /** @internal Calls back when it stops; what it returns takes that back. */
  onEnd(callback: () => void): () => void {
    const extras = this.more()
    extras.ends ??= new Set()
    extras.ends.add(callback)
    return () => {
      extras.ends?.delete(callback)
      if (extras.ends?.size === 0) extras.ends = undefined
    }
  }

  /** @internal Adds a receipt for a message that is about to be told; returns what takes it back. */
  expect(message: object, receipt: Receipt): () => void {
    const extras = this.more()
    extras.receipts ??= new Receipts()
    const forget = extras.receipts.add(message, receipt)
    return () => {
      forget()
      if (extras.receipts?.size === 0) extras.receipts = undefined
    }
  }

  /** @internal Lets something be heard, once what the message in hand has changed is saved. */
  acknowledge(acknowledgement: Acknowledgement): void {
    const persistence = this.extras?.persistence
    if (persistence?.open) persistence.hold(acknowledgement)
    else acknowledgement.saved()
  }

  protected enqueue(message: Message): boolean {
    if (this.flags & (STOPPED | DRAINING)) {
      this.dead(message, 'stopped')
      return false
    }
    if (this.flags & TAPPED) this.extras?.tap?.told(message, this.system.teller)
    const { overflow } = this.options
    this.mailbox ??= createMailbox(this.options)
    const mailbox = this.mailbox
    if (mailbox instanceof MeasuredMailbox) {
      const replaced = mailbox.replace(message)
      if (replaced !== undefined) {
        this.dead(replaced, 'replaced', false)
        return true
      }
    }
    while (this.isFull(message)) {
      const oldest = overflow === 'drop-oldest' ? mailbox.shift() : undefined
      if (oldest === undefined) return this.refuse(message)
      this.dead(oldest, 'dropped', false)
    }
    mailbox.push(message)
    if ((this.flags & (SCHEDULED | WAITING | BUSY)) === 0) this.getInLine()
    return true
  }

  protected isFull(message?: Message): boolean {
    if (this.depth >= (this.options.capacity ?? DEFAULT_CAPACITY)) return true
    const mailbox = this.mailbox
    if (!(mailbox instanceof MeasuredMailbox)) return false
    return message === undefined
      ? mailbox.bytes >= (this.options.bytes ?? Number.POSITIVE_INFINITY)
      : !mailbox.fits(message)
  }

  protected refuse(message: Message): false {
    if (this.options.overflow === 'backpressure') this.more().refused = message
    else this.dead(message, 'full')
    // Between two incarnations there is no state that it could be called with.
    if (this.flags & WAITING) return false
    try {
      this.behaviour.overflowed?.(this.state, message, this.self)
    } catch (error) {
      // In a turn of its own: its handler may be running, which must not see the next incarnation.
      this.urge(() => {
        throw error
      })
    }
    return false
  }

  protected tellRoom(extras: Extras): void {
    if (this.isFull(extras.refused as Message | undefined)) return
    extras.refused = undefined
    const waiting = [...(extras.room ?? [])]
    extras.room = undefined
    for (const resolve of waiting) resolve()
  }

  /** @param told whether it is being told now: only then is it known by whom */
  protected dead(message: object, reason: DeadLetterReason, told = true): void {
    this.system.deadLetter(this.path, message, reason, told)
    const receipt = this.extras?.receipts?.take(message)
    if (receipt === undefined) return
    const gone = reason === 'stopped' || reason === 'restarted'
    const code = gone ? 'ACTOR_STOPPED' : 'MAILBOX_FULL'
    receipt.failed(
      new SocketStreamError(code, `${this.path} did not handle the message: ${reason}`, {
        ...(!gone && { retryAfter: RETRY_AFTER }),
      }),
    )
  }

  private isRunningBelow(path: string): boolean {
    return this.behaviour !== ENDED && this.path.startsWith(`${path}/`)
  }

  /** What it shows at its end. */
  private lastView(): unknown {
    try {
      return this.getSnapshot()
    } catch (error) {
      this.system.crashed(this.path, error, undefined)
      return undefined
    }
  }

  protected getInLine(): void {
    if (this.flags & SCHEDULED) return
    this.flags |= SCHEDULED
    this.system.queue.schedule(this)
  }

  /** Gets in line if there is something to do, and ends when it was to end after the last message. */
  protected settle(): void {
    if (this.flags & (STOPPED | SCHEDULED | WAITING | BUSY)) return
    if (this.flags & URGENT || (this.mailbox !== undefined && this.mailbox.length > 0)) {
      return this.getInLine()
    }
    if ((this.flags & DRAINING) === 0 || this.depth > 0 || (this.extras?.inFlight ?? 0) > 0) return
    if (this.children.size === 0) return this.end()
    for (const child of [...this.children.values()]) child.stop({ drain: true })
  }

  protected runUrgent(): void {
    const { urgent } = this.more()
    const action = urgent?.shift()
    if (urgent === undefined || urgent.length === 0) this.flags &= ~URGENT
    try {
      action?.()
    } catch (error) {
      this.crash(error, undefined)
    }
  }

  /** Waits for what a handler promised. */
  protected wait(outcome: PromiseLike<unknown>, message: object): void {
    const extras = this.more()
    const { incarnation } = extras
    if (++extras.inFlight >= (this.options.concurrency ?? 1)) this.flags |= BUSY
    // One of an earlier incarnation has no say in this one.
    const current = (): boolean => (this.flags & STOPPED) === 0 && extras.incarnation === incarnation
    const done = (completed: boolean): void => {
      if (!current()) return this.outlived(extras, message)
      extras.inFlight--
      this.flags &= ~BUSY
      if (completed) this.completed(extras, message)
      this.settle()
    }
    outcome.then(
      () => done(true),
      error => {
        if (current()) this.crash(error, message)
        else this.system.crashed(this.path, error, message)
        done(false)
      },
    )
  }

  /** A handler of an incarnation that is over has ended: nobody can say what came of it. */
  protected outlived(extras: Extras, message: object): void {
    const gone = `${this.path} stopped or restarted while it handled the message`
    extras.receipts?.take(message)?.failed(new SocketStreamError('ACTOR_CRASHED', gone))
  }

  /** Keeps what is to be undone when it stops or restarts. */
  protected owns(undo: () => void): void {
    const extras = this.more()
    extras.own ??= new Set()
    extras.own.add(undo)
  }

  protected disowns(undo: () => void): void {
    this.extras?.own?.delete(undo)
  }

  protected empty(reason: DeadLetterReason): void {
    const kept = this.system.queue.giveUp(this)
    if (kept !== undefined) this.dead(kept, reason, false)
    for (let m = this.mailbox?.shift(); m !== undefined; m = this.mailbox?.shift())
      this.dead(m, reason, false)
    if (this.extras?.room !== undefined) this.tellRoom(this.extras)
  }

  protected more(): Extras {
    this.extras ??= new Extras()
    return this.extras
  }

  protected get self(): ActorRef<Message> {
    return this as unknown as ActorRef<Message>
  }

  /** A message has been handled. */
  protected abstract completed(extras: Extras, message: object | undefined): void
  /** A handler has thrown. */
  protected abstract crash(error: unknown, message: object | undefined): void
  /** Calls the behaviour's `stopped`. */
  protected abstract release(behaviour: Behaviour<Message, unknown>, state: unknown): void
  protected abstract end(crashed?: boolean): void
}
