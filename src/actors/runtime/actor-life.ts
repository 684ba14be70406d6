import { SocketStreamError } from '../../errors.js'
import { ActorCell, BUSY, STOPPED, URGENT, WAITING } from './actor-cell.js'
import type { ActorRef } from './actor-ref.js'
import type { Behaviour } from './behaviour.js'
import { messageType } from './dead-letters.js'
import type { Extras } from './extras.js'
import { Restarts } from './supervision.js'
import type { WatchEvent, WatchListener } from './watch.js'

/** The second part of an actor: its beginning, what follows from each message, its crashes and its end. */
export abstract class ActorLife<Message extends object, View = unknown> extends ActorCell<Message, View> {
  /** @internal The state has changed by itself, by no message: a delayed transition, a promise. */
  changed(): void {
    const extras = this.extras
    if (extras === undefined || (extras.persistence === undefined && extras.subscribers.size === 0)) return
    this.urge(() => this.completed(extras, undefined))
  }

  /** @internal Adds a watcher; what it returns takes it away and calls `after`. */
  watched(listener: WatchListener, after: () => void): () => void {
    if ((this.flags & STOPPED) === 0) this.more().watchers.add(listener)
    return () => {
      this.extras?.watchers.delete(listener)
      after()
    }
  }

  /** A message has been handled, or the state has changed by itself: saves it where it is to be saved. */
  protected override completed(extras: Extras, message: object | undefined): void {
    const { persistence } = extras
    if (persistence === undefined || this.flags & STOPPED) return this.acknowledged(extras, message)
    const type = message === undefined ? undefined : messageType(message)
    const changed = this.behaviour.revision === undefined || this.revision() !== extras.saved
    if (!changed || !persistence.changed(type)) return this.acknowledged(extras, message)
    this.save(extras, message)
  }

  /** Takes no message until the state is saved. */
  protected save(extras: Extras, message: object | undefined): void {
    const persistence = extras.persistence!
    const { incarnation } = extras
    let saving: Promise<void>
    try {
      saving = persistence.save(this.behaviour.save!(this.state))
    } catch (error) {
      return this.crash(error, message)
    }
    const revision = this.revision()
    this.flags |= BUSY
    const current = (): boolean => (this.flags & STOPPED) === 0 && extras.incarnation === incarnation
    saving.then(
      () => {
        if (!current()) return this.acknowledged(extras, message)
        extras.saved = revision
        this.flags &= ~BUSY
        this.acknowledged(extras, message)
        this.settle()
      },
      error => {
        if (current()) this.flags &= ~BUSY
        this.crash(error, message)
        this.settle()
      },
    )
  }

  /** What a message has led to may be heard. */
  protected acknowledged(extras: Extras, message: object | undefined): void {
    this.publish(extras)
    extras.persistence?.release()
    if (message !== undefined) extras.receipts?.take(message)?.handled?.()
  }

  /** Tells subscribers of a change. */
  protected publish(extras: Extras): void {
    if (extras.subscribers.size === 0 || this.flags & STOPPED) return
    const revision = this.revision()
    if (this.behaviour.revision !== undefined && revision === extras.published) return
    extras.published = revision
    for (const subscriber of [...extras.subscribers]) this.publishTo(subscriber)
  }

  protected publishTo(subscriber: (view: unknown) => void): void {
    try {
      subscriber(this.getSnapshot())
    } catch (error) {
      this.system.crashed(this.path, error, undefined)
    }
  }

  protected revision(): unknown {
    return this.behaviour.revision?.(this.state)
  }

  protected begin(restore: boolean): void {
    if (restore) return this.restore()
    this.start(this.behaviour.initial?.(this.self))
    this.settle()
  }

  protected start(state: unknown): void {
    const behaviour = this.behaviour
    if (this.flags & STOPPED) return this.release(behaviour, state)
    this.state = state
    this.flags &= ~WAITING
  }

  /** Begins with the saved state, once it is loaded. */
  protected restore(): void {
    const extras = this.more()
    const { incarnation } = extras
    extras.persistence!.load().then(
      loaded => {
        if (this.flags & STOPPED || extras.incarnation !== incarnation) return
        try {
          const behaviour = this.behaviour
          this.start(
            loaded === undefined
              ? behaviour.initial?.(this.self)
              : behaviour.restore!(loaded.state, this.self),
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
        this.acknowledged(extras, undefined)
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
    this.end()
    const parent = this.parent
    if (action === 'escalate') parent?.urge(() => parent.supervise(error, messageType))
  }

  protected restart(fromSnapshot: boolean): void {
    const extras = this.more()
    extras.restarts ??= new Restarts(this.options.restart)
    const { clock, random } = this.system
    const delay = extras.restarts.next(clock.now(), random)
    if (delay === undefined) return this.end()
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
    while (extras.urgent.shift() !== undefined);
    for (const undo of [...extras.own]) undo()
    extras.own.clear()
    if (this.options.restart?.mailbox === 'drop') this.empty('restarted')
    if (delay > 0) extras.own.add(this.system.timers.set(delay, () => this.again(fromSnapshot)))
    else this.again(fromSnapshot)
  }

  protected again(fromSnapshot: boolean): void {
    if (fromSnapshot) return this.restore()
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

  protected override end(): void {
    if (this.flags & STOPPED) return
    this.saveLast()
    this.flags = STOPPED | (this.flags & WAITING)
    this.stopChildren()
    if (this.parent === undefined) this.actor!.stop()
    else {
      this.parent.scope?.stopChild(this.actor!)
      this.parent.offspring?.delete(this.ownName)
    }
    this.actor = undefined
    this.system.counters.actors--
    this.empty('stopped')
    const extras = this.extras
    if (extras !== undefined) {
      for (const undo of [...extras.own]) undo()
      for (const end of [...extras.ends]) end()
      while (extras.urgent.shift() !== undefined);
      this.notify({ type: 'stopped', path: this.path })
      extras.watchers.clear()
    }
    this.system.registry.changed('disappeared', this.self as unknown as ActorRef<never>)
    if (this.parent !== undefined && this.parent.children.size === 0) this.parent.settle()
  }

  /** Saves the changes that no save was due for yet. Nobody waits for it but who loads the state next. */
  protected saveLast(): void {
    const persistence = this.extras?.persistence
    if (persistence === undefined || this.flags & WAITING) return
    // One in hand may have changed it, too.
    if (!persistence.dirty && !persistence.open) return
    try {
      persistence.save(this.behaviour.save!(this.state)).then(
        () => persistence.release(),
        error => this.crash(error, undefined),
      )
    } catch (error) {
      this.system.crashed(this.path, error, undefined)
    }
  }

  protected notify(event: WatchEvent): void {
    if (this.extras !== undefined) for (const listener of [...this.extras.watchers]) listener(event)
  }
}
