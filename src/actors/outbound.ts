import type { Frame } from '../codec/codec.js'
import { CLOSE_CODES } from '../errors.js'
import { isCounted, KIND } from '../protocol/envelope.js'
import type { BrokerConnection } from './connection.js'
import { PAUSED } from './intake.js'
import type { Outgoing } from './outgoing.js'
import type { Waiter } from './waiter.js'

/** Messages in the mailbox at which what may wait elsewhere does. */
const MAILBOX_MESSAGES = 128
/** Bytes in the mailbox at which it does. */
const MAILBOX_BYTES = 1024 * 1024

/** What goes out to a client over the link that it has: numbered, encoded for it, and no faster than it reads. */
export class Outbound {
  /** Messages of counted kinds that were sent, over all links. */
  sent = 0
  readonly #connection: BrokerConnection
  /** What waits until the connection has drained. */
  #waiters: Set<Waiter> | undefined

  constructor(connection: BrokerConnection) {
    this.#connection = connection
  }

  /** Whether a frame should wait: the client does not read or is away, or much is in the mailbox already. */
  isFull(bytes: number): boolean {
    const { ref, state, attachment } = this.#connection
    if (state === 'detached' || attachment.intake.pausedFor(PAUSED.OUTBOUND)) return true
    // As if all had its size: what gets past this, of any sizes, is less than six times as much.
    return ref.depth > MAILBOX_MESSAGES || ref.depth * bytes > MAILBOX_BYTES
  }

  /** Sends for the first time: now it gets its number. */
  send(outgoing: Outgoing): void {
    const connection = this.#connection
    if (!connection.attached) return
    const frame = this.#encoded(outgoing)
    if (frame === undefined || frame.length === 0) return
    if (isCounted(outgoing.kind)) {
      this.sent++
      connection.resumption?.retained.add(outgoing)
    }
    this.#transmit(frame, outgoing.kind)
  }

  /** Sends again, perhaps over another codec; without it the numbers behind would be wrong. */
  repeat(outgoing: Outgoing): void {
    if (!this.#connection.attached) return
    const frame = this.#encoded(outgoing)
    if (frame !== undefined) return this.#transmit(frame, outgoing.kind)
    this.#connection.shut(CLOSE_CODES.INTERNAL, 'a message cannot be sent over this codec')
  }

  /** Takes from whatever waits when it is full no more. */
  wait(waiter: Waiter): void {
    this.#waiters ??= new Set()
    this.#waiters.add(waiter)
  }

  /** Sends what waits, behind what was sent before and is in the mailbox still. */
  takeWaiting(): void {
    const waiters = this.#waiters
    const connection = this.#connection
    if (waiters === undefined || connection.ref.depth > 0) return
    for (const waiter of waiters) {
      while (connection.attached && !connection.attachment.intake.pausedFor(PAUSED.OUTBOUND)) {
        const next = waiter.next(connection)
        if (next !== undefined) for (const outgoing of next) connection.write(outgoing)
        else {
          waiters.delete(waiter)
          break
        }
      }
    }
    if (waiters.size === 0) this.#waiters = undefined
  }

  /** Sends all that waits, however full it is: it goes along to another server. */
  flush(): void {
    const waiters = this.#waiters
    this.#waiters = undefined
    for (const waiter of waiters ?? []) {
      for (
        let next = waiter.next(this.#connection);
        next !== undefined;
        next = waiter.next(this.#connection)
      ) {
        for (const outgoing of next) this.#connection.write(outgoing)
        if (this.#connection.state === 'closed') return waiter.closed(this.#connection)
      }
    }
  }

  /** The client is gone for good. */
  closed(): void {
    for (const waiter of this.#waiters ?? []) waiter.closed(this.#connection)
    this.#waiters = undefined
  }

  #encoded(outgoing: Outgoing): Frame | undefined {
    const { broker, codec, id } = this.#connection
    try {
      return outgoing.frameFor(codec)
    } catch (error) {
      broker.log.error('a message cannot be sent over this codec', { connection: id, error })
      return undefined
    }
  }

  #transmit(frame: Frame, kind: number): void {
    const { broker, id, attachment } = this.#connection
    const { link, intake } = attachment
    broker.counters.bytesOut += frame.length
    if (link.send(frame) || kind === KIND.CLOSE) return
    const waiting = link.bufferedBytes
    // Not full but closed: there will be no `drained`, and the end must not wait for it.
    if (waiting === 0) return
    // Without this frame, which may be larger by itself: one large answer is no sign of a slow reader.
    const many = ++attachment.waiting > broker.limits.outboundMessages
    if (many || waiting - frame.length > broker.limits.outboundBytes) {
      broker.log.warn('connection closed: it does not read', { connection: id })
      this.#connection.shut(CLOSE_CODES.SLOW_CONSUMER, 'more is waiting than this connection may buffer')
      link.terminate()
      return
    }
    intake.pause(PAUSED.OUTBOUND)
  }
}
