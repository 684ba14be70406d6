import type { Heard, Recording } from '../cluster/relays.js'
import type { Origin } from './connections.js'

/** A connection that was given to another server, which has not said yet that it has it. */
export interface Released {
  readonly id: string
  readonly bytes: Uint8Array
  readonly secret: string
  readonly attempt: number
  readonly heard: Heard
  /** What is relayed meanwhile: this server goes on with it if the other one does not. */
  readonly recording: Recording
  /** The server that was given it. */
  readonly node: string
  readonly user: unknown
  readonly like: Origin
}

/** Bounds of what is kept; past them the oldest is let go of. */
export interface ReleasedLimits {
  readonly connections: number
  readonly total: number
}

/** Milliseconds in which a server says whether it has what it was given. */
const SAYS = 5000
/** Connections of which it is remembered where they have gone. */
const REMEMBERED = 10_000

/** What was given to other servers: kept until they say that they have it, then remembered by where it is. */
export class ReleasedConnections {
  readonly #limits: ReleasedLimits
  readonly #late: (id: string) => void
  readonly #released = new Map<string, { readonly it: Released; readonly timer: NodeJS.Timeout }>()
  readonly #gone = new Map<string, string>()
  #bytes = 0

  /** @param late told of one when nothing was said of it in time */
  constructor(limits: ReleasedLimits, late: (id: string) => void) {
    this.#limits = limits
    this.#late = late
  }

  get size(): number {
    return this.#released.size
  }

  get(id: string): Released | undefined {
    return this.#released.get(id)?.it
  }

  /** Those that a server was given. */
  of(node: string): string[] {
    return [...this.#released.values()].filter(({ it }) => it.node === node).map(({ it }) => it.id)
  }

  /** The server that has a connection, as far as this one has heard. */
  whereabouts(id: string): string | undefined {
    return this.#gone.get(id)
  }

  add(it: Released): void {
    this.#bytes += it.bytes.length
    this.#released.set(it.id, { it, timer: setTimeout(this.#late, SAYS, it.id).unref() })
    const { connections, total } = this.#limits
    for (const oldest of this.#released.keys()) {
      if (this.#released.size <= connections && this.#bytes <= total) return
      this.take(oldest)?.recording.end()
    }
  }

  /** Takes one out, whose recording is then the caller's to end. */
  take(id: string): Released | undefined {
    const kept = this.#released.get(id)
    if (kept === undefined) return undefined
    this.#released.delete(id)
    this.#bytes -= kept.it.bytes.length
    clearTimeout(kept.timer)
    return kept.it
  }

  /** The other server has it. */
  confirmed(id: string): void {
    const it = this.take(id)
    if (it === undefined) return
    it.recording.end()
    this.#gone.delete(id)
    this.#gone.set(id, it.node)
    if (this.#gone.size > REMEMBERED) this.#gone.delete(this.#gone.keys().next().value!)
  }

  /** It is here, or nowhere. */
  forget(id: string): void {
    this.#gone.delete(id)
  }
}
