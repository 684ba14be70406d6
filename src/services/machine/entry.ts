import type { ActorRef } from '../../actors/runtime/index.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { Shown, Viewers } from './viewers.js'

/** An actor that runs the service's logic. */
export type KeyedRef = ActorRef<{ type: string }, unknown>

/** Who is shown the snapshots of an actor: the viewers, or whoever hands them on. */
export type Audience = Pick<Viewers, 'size' | 'show'>

/** Under which lease an actor lives; see `KeyedStart`. */
export interface Tenure {
  readonly fence: number
  check(): void
}

interface Snapshot extends Shown {
  can?(event: unknown): boolean
}

/** One keyed actor, with whom it is shown to. */
export class Entry<Sees extends Audience = Audience> {
  readonly key: string
  readonly audience: Sees
  /** Undefined where nobody else could have it. */
  readonly tenure: Tenure | undefined
  /** Another one, when that of before had failed for good. */
  ref: KeyedRef | undefined
  /** Calls under way: as long as there are any it is in use. */
  busy = 0
  /** Connection that had it started, and is charged with it until it has gone. */
  starter: string | undefined
  /** Ends the wait for its being idle. */
  awake: (() => void) | undefined
  /** Ends the looking at the actor. */
  readonly ends: (() => void)[] = []
  #snapshot: Snapshot | undefined
  #failure: Error | undefined
  readonly #waiting = new Set<{ resolve(): void; reject(error: Error): void }>()

  constructor(key: string, audience: Sees, tenure?: Tenure) {
    this.key = key
    this.audience = audience
    this.tenure = tenure
  }

  /** Whether the machine has come to its end. */
  get done(): boolean {
    return this.#snapshot?.status === 'done'
  }

  get inUse(): boolean {
    return this.busy > 0 || this.audience.size > 0
  }

  /** Begins anew with this actor: the first one, or one in place of another that has failed. */
  begin(ref: KeyedRef): void {
    this.ref = ref
    this.#snapshot = undefined
    this.#failure = undefined
  }

  /** Resolves when there is a snapshot. Rejects when the actor could not begin. */
  begun(): Promise<void> {
    if (this.#snapshot !== undefined) return Promise.resolve()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }))
  }

  /** Takes a snapshot, and shows it. */
  changed(snapshot: unknown): void {
    this.#snapshot = snapshot as Snapshot
    for (const { resolve } of this.#waiting) resolve()
    this.#waiting.clear()
    this.audience.show(this.#snapshot)
  }

  /** The actor has stopped before its end. */
  failed(cause: unknown): void {
    this.ref = undefined
    this.#failure = hasCode(cause)
      ? cause
      : new SocketStreamError('ACTOR_STOPPED', `The actor "${this.key}" has stopped`, { cause })
    for (const { reject } of this.#waiting) reject(this.#failure)
    this.#waiting.clear()
  }

  /** Whether the machine would take an event now. */
  can(event: unknown): boolean {
    return this.#snapshot?.can?.(event) ?? false
  }
}

/** The actor, as long as it takes events. @throws SocketStreamError `ACTOR_STOPPED` */
export function alive({ key, done }: Pick<Entry, 'key' | 'done'>, ref: KeyedRef): KeyedRef {
  if (done) throw new SocketStreamError('ACTOR_STOPPED', `"${key}" is done and takes no more events`)
  return ref
}
