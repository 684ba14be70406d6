import type { Logger } from '../../log.js'
import type { Audience, Tenure } from './entry.js'
import { type Change, diff } from './patch.js'
import { failed, type Picture, type Pictures, type Sent } from './picture.js'
import type { Shown } from './viewers.js'

/** Which state of an actor: of the instance with this fence, its so-manieth. */
export interface Stand {
  readonly fence: number
  readonly version: number
}

/** What makes the view of version `from` into that of a stand. */
export type Changed = readonly [
  'changed',
  key: string,
  from: number,
  stand: Stand,
  status: string,
  changes: readonly Change[],
]

/** What an outlet needs of its service. */
export interface OutletHost {
  readonly pictures: Pictures
  /** The id of this server. */
  readonly id: string
  readonly log: Logger
  /** Shows a state to viewers of this server. */
  show(key: string, stand: Stand, picture: Picture): void
  /** Tells another server. @throws SocketStreamError `UNENCODABLE` */
  tell(
    node: string,
    message:
      | readonly ['shown', key: string, stand: Stand, sent: Sent]
      | Changed
      | readonly ['gone', key: string, fence: number],
  ): void
}

/** Hands on the states of an actor that lives here to the servers that have viewers of it. */
export class Outlet implements Audience {
  readonly #host: OutletHost
  readonly #key: string
  readonly #fence: number
  /** Servers that have viewers, and when they said so last, in milliseconds of some clock. */
  readonly #watchers = new Map<string, number>()
  /** The version that each of the others was sent last. */
  readonly #told = new Map<string, number>()
  /** What was sent last, and its version. */
  #last: { readonly version: number; readonly sent: Sent } | undefined
  #snapshot: Shown | undefined
  #version = 0

  constructor(host: OutletHost, key: string, { fence }: Tenure) {
    this.#host = host
    this.#key = key
    this.#fence = fence
  }

  get size(): number {
    return this.#watchers.size
  }

  get stand(): Stand {
    return { fence: this.#fence, version: this.#version }
  }

  show(snapshot: Shown): void {
    this.#snapshot = snapshot
    this.#version++
    const { id, pictures, show } = this.#host
    const before = this.#last
    let changes: readonly Change[] | undefined
    for (const node of this.#watchers.keys()) {
      if (node === id) {
        show(this.#key, this.stand, pictures.own(snapshot))
        continue
      }
      const sent = this.#sent()
      const isNext = before !== undefined && this.#told.get(node) === before.version
      if (isNext && before.sent[0] === 'view' && sent[0] === 'view') {
        changes ??= diff(before.sent[2], sent[2])
        this.#tell(node, ['changed', this.#key, before.version, this.stand, snapshot.status, changes])
      } else this.#tell(node, ['shown', this.#key, this.stand, sent])
    }
  }

  /** Has a server told of every state from now on; gives the one now, unless the server is this one and has it so. */
  watch(node: string, now: number): Sent | null {
    this.#watchers.set(node, now)
    if (node !== this.#host.id) {
      this.#told.set(node, this.#version)
      return this.#sent()
    }
    this.#host.show(this.#key, this.stand, this.#host.pictures.own(this.#snapshot!))
    return null
  }

  /** The state now. */
  look(): Sent {
    return this.#host.pictures.send(this.#snapshot!)
  }

  /** A server has viewers no more; false if it had none. */
  leave(node: string): boolean {
    this.#told.delete(node)
    if (this.#told.size === 0) this.#last = undefined
    return this.#watchers.delete(node)
  }

  /** Takes away the servers that have not said for long that they have viewers. */
  prune(before: number): boolean {
    const { size } = this.#watchers
    for (const [node, said] of this.#watchers) {
      if (said < before && node !== this.#host.id) this.leave(node)
    }
    return this.#watchers.size < size
  }

  /** The actor lives here no longer. */
  end(): void {
    for (const node of this.#watchers.keys()) this.#host.tell(node, ['gone', this.#key, this.#fence])
    this.#watchers.clear()
    this.#told.clear()
    this.#last = undefined
  }

  /** The state now, made once for all. */
  #sent(): Sent {
    if (this.#last?.version !== this.#version) {
      this.#last = { version: this.#version, sent: this.#host.pictures.send(this.#snapshot!) }
    }
    return this.#last.sent
  }

  #tell(node: string, message: readonly ['shown', key: string, stand: Stand, sent: Sent] | Changed): void {
    const { tell, log } = this.#host
    try {
      tell(node, message)
      this.#told.set(node, this.#version)
    } catch (error) {
      this.#told.delete(node)
      log.error(`the view of "${this.#key}" cannot be sent to other servers; it must be plain data`, {
        error,
      })
      tell(node, ['shown', this.#key, this.stand, failed(this.#snapshot!.status, error)])
    }
  }
}
