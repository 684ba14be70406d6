import { type Actor, createActor } from 'xstate'
import { SocketStreamError } from '../../errors.js'
import { type Behaviour, DEFAULT_CAPACITY, type SpawnOptions } from './behaviour.js'
import { type Host, type KitEvent, type KitScope, kitLogic } from './logic.js'
import { Ring } from './ring.js'
import type { Runnable } from './run-queue.js'
import type { ActorSystem } from './system.js'

/** How long to wait for an answer, and what ends the wait early. */
export interface AskOptions {
  /** Milliseconds; required, because an answer may never come. */
  readonly timeout: number
}

/**
 * An actor: its address, mailbox and place in the tree.
 *
 * Messages are handled one at a time, in the order told. An idle actor told from outside any handler
 * is served straight through, without its mailbox.
 */
export class ActorRef<Message extends object> implements Host, Runnable {
  readonly path: string
  /** Messages handled so far. */
  handled = 0
  readonly #name: string
  readonly #system: ActorSystem
  readonly #parent: ActorRef<never> | undefined
  readonly #behaviour: Behaviour<Message, unknown>
  readonly #capacity: number
  readonly #actor: Actor<typeof kitLogic>
  #state: unknown
  #scope: KitScope | undefined
  #mailbox: Ring<Message> | undefined
  #scheduled = false
  #live = true
  #children: Map<string, ActorRef<never>> | undefined
  #waiting: Set<() => void> | undefined

  /** Use `spawn` instead; only the system makes its root by hand. */
  constructor(
    system: ActorSystem,
    parent: ActorRef<never> | undefined,
    name: string,
    behaviour: Behaviour<Message, never>,
    options: SpawnOptions = {},
  ) {
    this.#system = system
    this.#parent = parent
    this.#name = name
    this.path = parent === undefined ? name : `${parent.path}/${name}`
    this.#behaviour = behaviour as unknown as Behaviour<Message, unknown>
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY
    this.#actor =
      parent === undefined
        ? createActor(kitLogic, { input: this })
        : createActor(kitLogic, { input: this, parent: parent.#actor, id: this.path })
    system.counters.actors++
    // What it is told before it has started waits in the mailbox, as for any actor that is at work.
    this.#scheduled = true
    this.#state = this.#behaviour.initial?.(this)
    this.#scheduled = false
    if (!this.#live) return
    this.#actor.start()
    if (this.depth > 0) {
      this.#scheduled = true
      system.queue.schedule(this)
    }
  }

  /** Whether it still takes messages. */
  get live(): boolean {
    return this.#live
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

  /**
   * Starts a child.
   *
   * @param name unique among the living children
   * @throws SocketStreamError `INVALID_STATE` when the name is taken or this actor has stopped
   */
  spawn<M extends object, S>(name: string, behaviour: Behaviour<M, S>, options?: SpawnOptions): ActorRef<M> {
    if (!this.#live) {
      throw new SocketStreamError(
        'INVALID_STATE',
        `${this.path || '/'} has stopped: it cannot spawn "${name}"`,
      )
    }
    this.#children ??= new Map()
    if (this.#children.has(name)) {
      throw new SocketStreamError('INVALID_STATE', `${this.path}/${name} exists: choose another name`)
    }
    const child = new ActorRef<M>(
      this.#system,
      this as unknown as ActorRef<never>,
      name,
      behaviour as unknown as Behaviour<M, never>,
      options,
    )
    if (child.live) this.#children.set(name, child as unknown as ActorRef<never>)
    return child
  }

  /** Sends a message. Returns false when it became a dead letter. */
  tell(message: Message): boolean {
    if (!this.#live) {
      this.#system.deadLetter(this.path, message, 'stopped')
      return false
    }
    const queue = this.#system.queue
    if (!queue.busy && !this.#scheduled) {
      queue.runThrough(this, message)
      return true
    }
    if (!this.#scheduled && this.#capacity > 0 && queue.offer(this, message)) return true
    this.#mailbox ??= new Ring()
    if (this.depth >= this.#capacity) {
      this.#system.deadLetter(this.path, message, 'full')
      this.#behaviour.overflowed?.(this.#state, message, this)
      return false
    }
    this.#mailbox.push(message)
    if (!this.#scheduled) {
      this.#scheduled = true
      queue.schedule(this)
    }
    return true
  }

  /**
   * Sends a message that carries a reply function, and waits for the reply.
   *
   * @throws SocketStreamError `MAILBOX_FULL`, `ACTOR_STOPPED` or `ASK_TIMEOUT`
   */
  ask<Reply>(make: (reply: (value: Reply) => void) => Message, options: AskOptions): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting?.delete(stopped)
      }
      const fail = (error: SocketStreamError): void => {
        end()
        reject(error)
      }
      const stopped = (): void =>
        fail(new SocketStreamError('ACTOR_STOPPED', `${this.path} stopped before it answered`))
      const timer = setTimeout(
        () =>
          fail(new SocketStreamError('ASK_TIMEOUT', `${this.path} did not answer in ${options.timeout} ms`)),
        options.timeout,
      )
      this.#waiting ??= new Set()
      this.#waiting.add(stopped)
      const taken = this.tell(
        make(value => {
          end()
          resolve(value)
        }),
      )
      if (taken) return
      if (this.#live)
        fail(new SocketStreamError('MAILBOX_FULL', `${this.path} has ${this.depth} messages waiting`))
      else stopped()
    })
  }

  /** Stops it and everything below it; waiting messages become dead letters. Idempotent. */
  stop(): void {
    if (!this.#live) return
    this.#live = false
    if (this.#children !== undefined) for (const child of [...this.#children.values()]) child.stop()
    if (this.#parent === undefined) this.#actor.stop()
    else {
      this.#parent.#scope?.stopChild(this.#actor)
      this.#parent.#children?.delete(this.#name)
    }
    this.#system.counters.actors--
    for (let m = this.#mailbox?.shift(); m !== undefined; m = this.#mailbox?.shift()) {
      this.#system.deadLetter(this.path, m, 'stopped')
    }
    if (this.#waiting !== undefined) for (const stopped of [...this.#waiting]) stopped()
  }

  /** @internal The run queue's part: handles waiting messages. */
  run(budget: number): number {
    const mailbox = this.#mailbox
    let handled = 0
    while (handled < budget && this.#live) {
      const message = mailbox?.shift()
      if (message === undefined) break
      handled++
      this.take(message)
    }
    this.#scheduled = false
    if (this.#live && mailbox !== undefined && mailbox.length > 0) {
      this.#scheduled = true
      this.#system.queue.schedule(this)
    }
    return handled || 1
  }

  /** @internal The run queue's part: one message, through XState, which calls `handle`. */
  take(message: object): void {
    if (this.#live) this.#actor.send(message as KitEvent)
    else this.#system.deadLetter(this.path, message, 'stopped')
  }

  /** @internal XState's part: keeps the scope, through which children are stopped. */
  started(scope: KitScope): void {
    this.#scope = scope
  }

  /** @internal XState's part: a message. */
  handle(message: object): void {
    this.handled++
    try {
      this.#behaviour.receive(this.#state, message as Message, this)
    } catch (error) {
      this.#system.crashed(this.path, error, message)
    }
  }

  /** @internal XState's part: the end. */
  ended(): void {
    try {
      this.#behaviour.stopped?.(this.#state, this)
    } catch (error) {
      this.#system.crashed(this.path, error, undefined)
    }
  }
}

const NO_CHILDREN: ReadonlyMap<string, ActorRef<never>> = new Map()
