import type { Codec, Frame } from '../codec/codec.js'
import type { Link, LinkHandler } from '../transports/transport.js'
import type { Limits } from './broker.js'
import type { ConnectionMessage } from './connection.js'
import { Intake, PAUSED } from './intake.js'
import { Liveness } from './liveness.js'
import type { ActorRef } from './runtime/index.js'

/** What is known of a link when it opens. */
export interface AttachmentInit {
  readonly link: Link
  readonly clientIp: string
  readonly transport: string
  /** Whether the way to the client is encrypted, by the transport's rules for proxies. */
  readonly secure: boolean
  /** The codec agreed as subprotocol; otherwise the first frame tells. */
  readonly codec: Codec | undefined
  readonly now: number
  /** Counts the links of an address. */
  readonly places?: { closed(address: string): void }
}

/** Whoever an attachment's frames go to. */
interface Owner {
  readonly ref: ActorRef<ConnectionMessage>
  frame(frame: Frame, from: Attachment): void
}

/**
 * One link of a connection, with what belongs to the link alone: its codec, its flow, its signs of life.
 *
 * A connection that is resumed gets the attachment of the newcomer; what its former one still brings is known
 * by it, and ignored.
 */
export class Attachment implements LinkHandler {
  readonly link: Link
  readonly clientIp: string
  readonly transport: string
  readonly secure: boolean
  readonly intake: Intake
  readonly liveness: Liveness
  codec: Codec | undefined
  /** Messages sent since the link became full. */
  waiting = 0
  /** The connection that it belongs to; set by that one. */
  owner!: Owner
  readonly #places: AttachmentInit['places']

  constructor(limits: Limits, init: AttachmentInit) {
    this.link = init.link
    this.clientIp = init.clientIp
    this.transport = init.transport
    this.secure = init.secure
    this.codec = init.codec
    this.#places = init.places
    this.intake = new Intake(init.link, limits.inboundBytes)
    this.liveness = new Liveness(limits, init.now)
  }

  frame(frame: Frame): void {
    this.owner.frame(frame, this)
  }

  drained(): void {
    this.#tell({ type: 'drained', from: this })
  }

  closed(code: number, reason: string): void {
    this.#places?.closed(this.clientIp)
    this.#tell({ type: 'closed', code, reason, from: this })
  }

  /** Waits for what the connection waits for, as the attachment before it did. */
  inherit(before: Attachment): void {
    for (const reason of [PAUSED.ROUTER, PAUSED.BUSY]) {
      if (before.intake.pausedFor(reason)) this.intake.pause(reason)
      else this.intake.resume(reason)
    }
  }

  #tell(message: ConnectionMessage): void {
    const { ref } = this.owner
    if (ref.live) ref.tell(message)
  }
}
