import type { Logger } from '../../log.js'
import type { Audience, Tenure } from './entry.js'
import { failed, type Picture, type Pictures, type Sent } from './picture.js'
import type { Shown } from './viewers.js'

/** Which state of an actor: of the instance with this fence, its so-manieth. */
export interface Stand {
  readonly fence: number
  readonly version: number
}

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
    let sent: Sent | undefined
    for (const node of this.#watchers.keys()) {
      if (node === id) show(this.#key, this.stand, pictures.own(snapshot))
      else {
        sent ??= pictures.send(snapshot)
        this.#tell(node, sent, snapshot.status)
      }
    }
  }

  /** Has a server told of every state from now on; gives the one now, unless the server is this one and has it so. */
  watch(node: string, now: number): Sent | null {
    this.#watchers.set(node, now)
    if (node !== this.#host.id) return this.look()
    this.#host.show(this.#key, this.stand, this.#host.pictures.own(this.#snapshot!))
    return null
  }

  /** The state now. */
  look(): Sent {
    return this.#host.pictures.send(this.#snapshot!)
  }

  /** A server has viewers no more; false if it had none. */
  leave(node: string): boolean {
    return this.#watchers.delete(node)
  }

  /** Takes away the servers that have not said for long that they have viewers. */
  prune(before: number): boolean {
    const { size } = this.#watchers
    for (const [node, said] of this.#watchers) {
      if (said < before && node !== this.#host.id) this.#watchers.delete(node)
    }
    return this.#watchers.size < size
  }

  /** The actor lives here no longer. */
  end(): void {
    for (const node of this.#watchers.keys()) this.#host.tell(node, ['gone', this.#key, this.#fence])
    this.#watchers.clear()
  }

  #tell(node: string, sent: Sent, status: string): void {
    const { tell, log } = this.#host
    try {
      tell(node, ['shown', this.#key, this.stand, sent])
    } catch (error) {
      log.error(`the view of "${this.#key}" cannot be sent to other servers; it must be plain data`, {
        error,
      })
      tell(node, ['shown', this.#key, this.stand, failed(status, error)])
    }
  }
}
