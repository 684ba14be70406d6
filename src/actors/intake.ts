import type { Frame } from '../codec/codec.js'
import type { Link } from '../transports/transport.js'

/** Why reading from a client stands still; several may hold at once. */
export const PAUSED = {
  /** The client does not read what is sent to it. */
  OUTBOUND: 1,
  /** The router waits for an asynchronous middleware. */
  ROUTER: 2,
  /** The session is being read. */
  JOINING: 4,
  /** The actor has more in its mailbox than it gets to; what is there goes on being handled. */
  BUSY: 8,
} as const

/**
 * The inbound side of a connection: stops and resumes reading, and keeps what still arrives.
 *
 * A paused link may deliver the rest of what it had read already.
 */
export class Intake {
  readonly #link: Link
  readonly #maxBytes: number
  #reasons = 0
  #held: Frame[] | undefined
  #bytes = 0

  /** @param maxBytes how much may be kept */
  constructor(link: Link, maxBytes: number) {
    this.#link = link
    this.#maxBytes = maxBytes
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether frames that still arrive must wait. */
  get holds(): boolean {
    return (this.#reasons & ~PAUSED.BUSY) !== 0
  }

  /** Whether this is among the reasons. */
  pausedFor(reason: number): boolean {
    return (this.#reasons & reason) !== 0
  }

  pause(reason: number): void {
    if (this.#reasons === 0) this.#link.pause()
    this.#reasons |= reason
  }

  /** Returns whether frames that waited may go on. */
  resume(reason: number): boolean {
    if ((this.#reasons & reason) === 0) return false
    this.#reasons &= ~reason
    if (this.#reasons === 0) this.#link.resume()
    return !this.holds
  }

  /** Keeps a frame for later; returns false when that would be too much. */
  hold(frame: Frame): boolean {
    this.#bytes += frame.length
    if (this.#bytes > this.#maxBytes) return false
    this.#held ??= []
    // A small view would keep the whole receive buffer alive for as long as it waits.
    this.#held.push(typeof frame === 'string' ? frame : new Uint8Array(frame))
    return true
  }

  /** Lets go of what was kept: the link is gone. */
  drop(): void {
    this.#held = undefined
    this.#bytes = 0
  }

  /** Hands over what was kept, until it is paused again. */
  release(take: (frame: Frame) => void): void {
    const held = this.#held
    if (held === undefined) return
    let taken = 0
    while (taken < held.length && !this.holds) {
      const frame = held[taken++]!
      this.#bytes -= frame.length
      take(frame)
    }
    this.#held = taken < held.length ? held.slice(taken) : undefined
  }
}
