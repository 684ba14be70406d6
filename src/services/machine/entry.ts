import type { ActorRef } from '../../actors/runtime/index.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { ServiceServer } from '../service.js'
import type { MachineContext } from './options.js'
import { diff } from './patch.js'

/** An actor that runs the service's logic. */
export type KeyedRef = ActorRef<{ type: string }, unknown>

/** What an entry needs of its service. */
export interface EntryHost {
  readonly server: Pick<ServiceServer, 'send' | 'sendToSocketIds' | 'log'>
  readonly shared: boolean
  project(snapshot: unknown, ctx: MachineContext | undefined): unknown
}

/** Viewers who see the same: all of an actor, or one if `project` looks at who it is. */
interface Audience {
  /** Undefined if they are all: nobody's view may depend on who came first. */
  readonly ctx: MachineContext | undefined
  readonly ids: Set<string>
  view: unknown
  /** Of the view; the first one has 1. */
  version: number
  done: boolean
  /** Why the latest view could not be sent. */
  error: unknown
}

interface Snapshot {
  readonly status: string
  can?(event: unknown): boolean
}

/** The audience of all when `project` does not look at who sees. */
const ALL = ''

/** One keyed actor with its viewers. */
export class Entry {
  readonly key: string
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
  readonly #audiences = new Map<string, Audience>()
  readonly #host: EntryHost

  constructor(host: EntryHost, key: string) {
    this.#host = host
    this.key = key
  }

  /** Whether the machine has come to its end. */
  get done(): boolean {
    return this.#snapshot?.status === 'done'
  }

  get inUse(): boolean {
    return this.busy > 0 || this.#audiences.size > 0
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

  /** Takes a snapshot, and shows it to the viewers. */
  changed(snapshot: unknown): void {
    this.#snapshot = snapshot as Snapshot
    for (const { resolve } of this.#waiting) resolve()
    this.#waiting.clear()
    for (const audience of this.#audiences.values()) this.#push(audience)
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

  /** Adds a viewer, and sends it the whole view. @throws SocketStreamError `UNENCODABLE` */
  join(ctx: MachineContext): void {
    const id = this.#host.shared ? ALL : ctx.connectionId
    const audience = this.#audiences.get(id) ?? this.#audience(ctx)
    if (audience.error !== undefined) throw audience.error
    const { version, view, done } = audience
    this.#host.server.send(ctx.connectionId, [this.key, 0, version, view, done])
    audience.ids.add(ctx.connectionId)
    this.#audiences.set(id, audience)
  }

  /** Takes a viewer away; false if it was none. */
  leave(connectionId: string): boolean {
    const id = this.#host.shared ? ALL : connectionId
    const audience = this.#audiences.get(id)
    if (audience?.ids.delete(connectionId) !== true) return false
    if (audience.ids.size === 0) this.#audiences.delete(id)
    return true
  }

  /** Whether a connection views it. */
  has(connectionId: string): boolean {
    return this.#audiences.get(this.#host.shared ? ALL : connectionId)?.ids.has(connectionId) === true
  }

  /** What a client sees now: `[version, view, done]`, with version 0 if it is no viewer. */
  look(ctx: MachineContext): [version: number, view: unknown, done: boolean] {
    const audience = this.#audiences.get(this.#host.shared ? ALL : ctx.connectionId)
    if (audience?.error !== undefined) throw audience.error
    if (audience?.ids.has(ctx.connectionId)) return [audience.version, audience.view, audience.done]
    const { view, done } = this.#audience(ctx)
    return [0, view, done]
  }

  #audience(viewer: MachineContext): Audience {
    const ctx = this.#host.shared ? undefined : viewer
    const view = this.#host.project(this.#snapshot, ctx)
    return { ctx, ids: new Set(), view, version: 1, done: this.done, error: undefined }
  }

  /** Sends an audience what has changed for it. One that fails is logged and left where it was. */
  #push(audience: Audience): void {
    const { server } = this.#host
    const { done } = this
    try {
      const view = this.#host.project(this.#snapshot, audience.ctx)
      const changes = diff(audience.view, view)
      if (changes.length > 0 || done !== audience.done) {
        const to = audience.version + 1
        server.sendToSocketIds([...audience.ids], [this.key, audience.version, to, changes, done])
        audience.version = to
        audience.done = done
      }
      audience.view = view
      audience.error = undefined
    } catch (error) {
      audience.error = error
      server.log.error(`the view of "${this.key}" cannot be sent; it must be plain data`, { error })
    }
  }
}
