import { SocketStreamError } from '../../errors.js'
import { ActorCell, BUSY, STOPPED, URGENT, WAITING } from './actor-cell.js'
import type { ActorRef } from './actor-ref.js'
import type { Behaviour } from './behaviour.js'
import { messageType } from './dead-letters.js'
import type { Extras, Shown } from './extras.js'
import { Restarts } from './supervision.js'
import type { WatchEvent, WatchListener } from './watch.js'

const NOTHING: Shown = { revision: undefined, view: undefined }

/** The second part of an actor: its beginning, what follows from each message, its crashes and its end. */
export abstract class ActorLife<Message extends object, View = unknown> extends ActorCell<Message, View> {
  /** @internal The state has changed by itself, by no message: what a promise brought, for example. */
  changed(): void {
    const { extras } = this
    if (extras?.persistence !== undefined || extras?.subscribers !== undefined) this.spontaneous(() => {})
  }

  /** @internal Lets the state change by itself in a turn of its own: a delayed transition. */
  spontaneous(action: () => void): void {
    this.urge(() => {
      const persistence = this.extras?.persistence
      if (persistence !== undefined) persistence.open = true
      action()
      if (this.extras !== undefined) this.completed(this.extras, undefined)
    })
  }

  /** @internal Adds a watcher; what it returns takes it away and calls `after`. */
  watched(listener: WatchListener, after: () => void): () => void {
    if ((this.flags & STOPPED) === 0) {
      const extras = this.more()
      extras.watchers ??= new Set()
      extras.watchers.add(listener)
    }
    return () => {
      this.extras?.watchers?.delete(listener)
      after()
    }
  }

  /** A message has been handled, or the state has changed by itself: saves it where it is to be saved. */
  protected override completed(extras: Extras, message: object | undefined): void {
    const { persistence } = extras
    if (persistence === undefined) return this.acknowledged(extras, message, this.shown())
    const type = message === undefined ? undefined : messageType(message)
    const changed = this.behaviour.revision === undefined || this.revision() !== extras.saved
    const due = changed && persistence.changed(type)
    // A handler that has stopped its own actor: there will be no other save.
    if (due || (this.flags & STOPPED && persistence.dirty)) this.save(extras, message)
    else this.acknowledged(extras, message, this.shown())
  }

  /** Takes no message until the state is saved. */
  protected save(extras: Extras, message: object | undefined): void {
    const { incarnation } = extras
    const shown = this.shown()
    let saving: Promise<void>
    try {
      saving = extras.persistence!.save(this.behaviour.save!(this.state))
    } catch (error) {
      return this.crash(error, message)
    }
    this.flags |= BUSY
    extras.saving = true
    saving.then(
      () => {
        const current = this.saved(extras, incarnation)
        if (current) extras.saved = shown.revision
        this.acknowledged(extras, message, shown)
        if (this.flags & STOPPED) extras.subscribers = undefined
        this.settle()
      },
      error => {
        this.saved(extras, incarnation)
        this.crash(error, message)
        if (this.flags & STOPPED) extras.subscribers = undefined
        this.settle()
      },
    )
  }

  /** A save has its outcome; says whether the actor still is the one that has saved. */
  protected saved(extras: Extras, incarnation: number): boolean {
    if (this.flags & STOPPED || extras.incarnation !== incarnation) return false
    extras.saving = false
    this.flags &= ~BUSY
    return true
  }

  /** What a message has led to may be heard. */
  protected acknowledged(extras: Extras, message: object | undefined, shown: Shown): void {
    this.publish(extras, shown)
    extras.persistence?.release()
    if (message !== undefined) extras.receipts?.take(message)?.handled?.()
  }

  /** Tells subscribers of a change. */
  protected publish(extras: Extras, shown: Shown): void {
    if (extras.persistence !== undefined) extras.published = shown
    if (extras.subscribers === undefined) return
    const always = this.behaviour.revision === undefined && (this.flags & STOPPED) === 0
    for (const [subscriber, revision] of [...extras.subscribers]) {
      if (always || revision !== shown.revision) this.publishTo(subscriber, shown)
    }
  }

  protected publishTo(subscriber: (view: unknown) => void, shown: Shown): void {
    const subscribers = this.extras?.subscribers
    if (subscribers?.has(subscriber) !== true) return
    subscribers.set(subscriber, shown.revision)
    try {
      subscriber(shown.view)
    } catch (error) {
      this.system.crashed(this.path, error, undefined)
    }
  }

  /** What subscribers may see of the state now. */
  protected shown(): Shown {
    if (this.extras?.subscribers === undefined && this.extras?.persistence === undefined) return NOTHING
    return { revision: this.revision(), view: this.getSnapshot() }
  }

  protected revision(): unknown {
    return this.behaviour.revision?.(this.state)
  }

  protected begin(restore: boolean): void {
    if (restore) return this.restore(true)
    this.start(this.behaviour.initial?.(this.self))
    this.settle()
  }

  protected start(state: unknown): void {
    const behaviour = this.behaviour
    if (this.flags & STOPPED) return this.release(behaviour, state)
    this.state = state
    this.flags &= ~WAITING
  }

  /** Begins once the saved state is loaded: with it, or anew, but knowing which one stands there. */
  protected restore(fromSnapshot: boolean): void {
    const extras = this.more()
    const { incarnation } = extras
    extras.persistence!.load(fromSnapshot).then(
      loaded => {
        if (this.flags & STOPPED || extras.incarnation !== incarnation) return
        try {
          const { behaviour, self } = this
          this.start(
            loaded === undefined ? behaviour.initial?.(self) : behaviour.restore!(loaded.state, self),
          )
        } catch (error) {
          return this.crash(error, undefined)
        }
        this.begun(loaded !== undefined)
      },
      error => {
        if (extras.incarnation === incarnation) this.crash(error, undefined)
      },
    )
  }

  /** A state that was just made is saved, so that its deadlines are; either is heard of. */
  protected begun(restored: boolean): void {
    const extras = this.extras
    if (extras !== undefined && (this.flags & (STOPPED | WAITING)) === 0) {
      if (extras.incarnation > 0) this.notify({ type: 'restarted', path: this.path })
      if (!restored) this.changed()
      else {
        extras.saved = this.revision()
        this.acknowledged(extras, undefined, this.shown())
      }
    }
    this.settle()
  }

  protected override crash(error: unknown, message: object | undefined): void {
    this.system.crashed(this.path, error, message)
    const extras = this.extras
    if (extras !== undefined) {
      const code =
        error instanceof SocketStreamError && error.code === 'PERSIST_FAILED' ? error.code : 'ACTOR_CRASHED'
      const failure = new SocketStreamError(code, `${this.path} failed at the message`, { cause: error })
      if (message !== undefined) extras.receipts?.take(message)?.failed(failure)
      extras.persistence?.release(failure)
    }
    if ((this.flags & STOPPED) === 0)
      this.supervise(error, message === undefined ? undefined : messageType(message))
  }

  /** Does what the options say about a crash. */
  protected supervise(error: unknown, messageType: string | undefined): void {
    const { onCrash = this.options.persist === undefined ? 'resume' : 'restart-from-snapshot' } = this.options
    const action = this.parent === undefined ? 'resume' : onCrash
    this.notify({ type: 'crashed', path: this.path, error, messageType, action })
    if (action === 'resume' || this.flags & STOPPED) return
    if (action !== 'stop' && action !== 'escalate') return this.restart(action === 'restart-from-snapshot')
    this.end(true)
    const parent = this.parent
    if (action === 'escalate') parent?.urge(() => parent.supervise(error, messageType))
  }

  protected restart(fromSnapshot: boolean): void {
    const extras = this.more()
    extras.restarts ??= new Restarts(this.options.restart)
    const { clock, random } = this.system
    const delay = extras.restarts.next(clock.now(), random)
    if (delay === undefined) return this.end(true)
    const running = (this.flags & WAITING) === 0
    // First of all, so that nothing that happens meanwhile gives it a message.
    this.flags = (this.flags | WAITING) & ~(BUSY | URGENT)
    this.stopChildren()
    if (running) {
      this.release(this.behaviour, this.state)
      if (this.flags & STOPPED) return
      // What `stopped` has started belongs to nobody.
      this.stopChildren()
    }
    extras.incarnation++
    extras.inFlight = 0
    extras.saving = false
    extras.urgent = undefined
    for (const undo of extras.own ?? []) undo()
    extras.own = undefined
    if (this.options.restart?.mailbox === 'drop') this.empty('restarted')
    if (delay > 0) this.owns(this.system.timers.set(delay, () => this.again(fromSnapshot)))
    else this.again(fromSnapshot)
  }

  protected again(fromSnapshot: boolean): void {
    if (this.extras?.persistence !== undefined) return this.restore(fromSnapshot)
    try {
      this.start(this.behaviour.initial?.(this.self))
    } catch (error) {
      return this.crash(error, undefined)
    }
    this.begun(false)
  }

  /** Children before parents, in a loop: the tree may be deeper than the stack. */
  protected stopChildren(): void {
    if (this.offspring === undefined) return
    const below: ActorLife<never>[] = []
    const found: ActorLife<never>[] = [...this.offspring.values()]
    for (let one = found.pop(); one !== undefined; one = found.pop()) {
      below.push(one)
      if (one.offspring !== undefined) found.push(...one.offspring.values())
    }
    for (let one = below.pop(); one !== undefined; one = below.pop()) one.end()
  }

  /** Ends an incarnation. */
  protected override release(behaviour: Behaviour<Message, unknown>, state: unknown): void {
    try {
      behaviour.stopped?.(state, this.self)
    } catch (error) {
      this.system.crashed(this.path, error, undefined)
    }
  }

  /** @param crashed whether it has failed: what it was about to change must not be saved */
  protected override end(crashed = false): void {
    if (this.flags & STOPPED) return
    if (this.extras?.persistence !== undefined) this.saveLast(this.extras, crashed)
    this.flags = STOPPED | (this.flags & WAITING)
    this.stopChildren()
    if (this.parent === undefined) this.actor!.stop()
    else {
      this.system.scope.stopChild(this.actor!)
      this.parent.offspring?.delete(this.ownName)
    }
    this.actor = undefined
    this.system.counters.actors--
    this.empty('stopped')
    const extras = this.extras
    if (extras !== undefined) {
      for (const undo of extras.own ?? []) undo()
      for (const end of [...(extras.ends ?? [])]) end()
      extras.urgent = undefined
      this.notify({ type: 'stopped', path: this.path })
      extras.watchers = undefined
    }
    this.system.registry.changed('disappeared', this.self as unknown as ActorRef<never>)
    if (this.parent !== undefined && this.parent.children.size === 0) this.parent.settle()
  }

  /** Saves the changes that no save was due for yet. Nobody waits for it but who loads the state next. */
  protected saveLast(extras: Extras, crashed: boolean): void {
    const persistence = extras.persistence!
    // A save under way has its own outcome; a handler that stops its own actor is saved when it returns.
    if (extras.saving || (persistence.open && extras.inFlight === 0 && !crashed)) return
    if (!crashed && extras.inFlight === 0 && (this.flags & WAITING) === 0 && persistence.dirty) {
      return this.save(extras, undefined)
    }
    // What a handler has half done is not saved.
    persistence.release(new SocketStreamError('ACTOR_STOPPED', `${this.path} has stopped`))
  }

  protected notify(event: WatchEvent): void {
    if (this.system.observer !== undefined) this.system.observe(event)
    for (const listener of [...(this.extras?.watchers ?? [])]) listener(event)
  }
}
