import type { ServiceServer } from '../service.js'
import type { MachineContext } from './options.js'
import { diff } from './patch.js'

/** What viewers need of their service. */
export interface ViewersHost {
  readonly server: Pick<ServiceServer, 'send' | 'sendToSocketIds' | 'log'>
  /** Whether all viewers see the same. */
  readonly shared: boolean
  project(snapshot: unknown, ctx: MachineContext | undefined): unknown
}

/** What is shown: a snapshot of an actor, or what stands for it. */
export interface Shown {
  readonly status: string
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

/** The audience of all when `project` does not look at who sees. */
const ALL = ''

/** The connections of this server that view the actor of a key. */
export class Viewers {
  readonly #host: ViewersHost
  readonly #key: string
  readonly #audiences = new Map<string, Audience>()
  #snapshot: Shown | undefined

  constructor(host: ViewersHost, key: string) {
    this.#host = host
    this.#key = key
  }

  /** How many audiences there are: none is nobody. */
  get size(): number {
    return this.#audiences.size
  }

  /** Ids of the connections. */
  get ids(): string[] {
    return [...this.#audiences.values()].flatMap(({ ids }) => [...ids])
  }

  /** Takes a snapshot, and sends everybody what has changed for them. */
  show(snapshot: Shown): void {
    this.#snapshot = snapshot
    for (const audience of this.#audiences.values()) this.#push(audience)
  }

  /** Adds a viewer, and sends it the whole view. @throws SocketStreamError `UNENCODABLE` */
  join(ctx: MachineContext): void {
    const id = this.#host.shared ? ALL : ctx.connectionId
    const audience = this.#audiences.get(id) ?? this.#audience(ctx)
    if (audience.error !== undefined) throw audience.error
    const { version, view, done } = audience
    this.#host.server.send(ctx.connectionId, [this.#key, 0, version, view, done])
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

  get #done(): boolean {
    return this.#snapshot?.status === 'done'
  }

  #audience(viewer: MachineContext): Audience {
    const ctx = this.#host.shared ? undefined : viewer
    const view = this.#host.project(this.#snapshot, ctx)
    return { ctx, ids: new Set(), view, version: 1, done: this.#done, error: undefined }
  }

  /** Sends an audience what has changed for it. One that fails is logged and left where it was. */
  #push(audience: Audience): void {
    const { server } = this.#host
    const done = this.#done
    try {
      const view = this.#host.project(this.#snapshot, audience.ctx)
      const changes = diff(audience.view, view)
      if (changes.length > 0 || done !== audience.done) {
        const to = audience.version + 1
        server.sendToSocketIds([...audience.ids], [this.#key, audience.version, to, changes, done])
        audience.version = to
        audience.done = done
      }
      audience.view = view
      audience.error = undefined
    } catch (error) {
      audience.error = error
      server.log.error(`the view of "${this.#key}" cannot be sent; it must be plain data`, { error })
    }
  }
}
