import type { Envelope, Frame } from '../codec/codec.js'
import { CLOSE_CODES, SocketStreamError } from '../errors.js'
import { isCounted, KIND } from '../protocol/envelope.js'
import type { Attachment } from './attachment.js'
import type { BrokerConnection } from './connection.js'
import { openCodec, readHello } from './handshake.js'
import type { Inbound } from './inbound.js'
import type { Joining } from './joining.js'
import { Outgoing } from './outgoing.js'

/** What takes the frames of one client: reads, counts and acknowledges them, and closes on what is malformed. */
export class Receiver {
  /** Messages of counted kinds that came: the position that the client resumes from. */
  received = 0
  readonly #connection: BrokerConnection
  readonly #joining: Joining
  readonly #inbound: Inbound

  constructor(connection: BrokerConnection, joining: Joining, inbound: Inbound) {
    this.#connection = connection
    this.#joining = joining
    this.#inbound = inbound
  }

  /** A frame has come over a link, perhaps one that was left. */
  arrived(frame: Frame, from: Attachment): void {
    const connection = this.#connection
    const { state, attachment } = connection
    // It will be sent again: what came was frozen when the link was left.
    if (from !== attachment || state === 'detached' || state === 'left') return
    from.liveness.heard()
    if (!from.intake.holds) this.frame(frame)
    else if (state !== 'closed' && !from.intake.hold(frame)) {
      connection.shut(CLOSE_CODES.OVERLOADED, 'more was sent than is taken while the server is busy')
    }
  }

  /** Takes a frame whose turn it is. */
  frame(frame: Frame): void {
    const connection = this.#connection
    const { broker, attachment, state } = connection
    if (state === 'closed') return
    try {
      const { maxFrame } = broker.limits
      if (isLarger(frame, maxFrame)) {
        return connection.shut(CLOSE_CODES.TOO_BIG, `a frame may have ${maxFrame} bytes`)
      }
      attachment.codec ??= openCodec(broker, frame)
      const envelope = attachment.codec.decode(frame)
      const early = state === 'connecting' && envelope.kind !== KIND.HELLO && connection.isClassic
      if (early) this.#joining.early(frame)
      else this.#envelope(envelope)
    } catch (error) {
      if (!(error instanceof SocketStreamError)) {
        connection.shut(CLOSE_CODES.INTERNAL, 'the server failed')
        throw error
      }
      broker.log.warn(`connection closed: ${error.message}`, { connection: connection.id, code: error.code })
      connection.shut(
        error.code === 'UNSUPPORTED_VERSION' ? CLOSE_CODES.UNSUPPORTED_VERSION : CLOSE_CODES.BAD_FRAME,
        error.message,
      )
    }
  }

  /** Tells the client what has come, if it has not been told. */
  acknowledge(): void {
    const { resumption, codec } = this.#connection
    if (!resumption?.due) return
    resumption.settled()
    this.#connection.write(new Outgoing(codec, KIND.ACK, 0, 0, this.received))
  }

  #envelope(envelope: Envelope): void {
    const connection = this.#connection
    const { kind } = envelope
    if (!connection.attached) {
      if (kind !== KIND.HELLO) throw new SocketStreamError('BAD_FRAME', 'the first frame must be a hello')
      return this.#joining.hello(readHello(envelope.payload))
    }
    const { resumption } = connection
    if (isCounted(kind)) {
      this.received++
      if (resumption?.received(envelope.size)) this.acknowledge()
      return this.#inbound.take(envelope)
    }
    switch (kind) {
      case KIND.PING:
        resumption?.acknowledge(envelope.payload)
        return connection.write(new Outgoing(connection.codec, KIND.PONG, 0, 0, this.received))
      case KIND.PONG:
        connection.attachment.liveness.answered()
        return resumption?.acknowledge(envelope.payload)
      case KIND.ACK:
        return resumption?.acknowledge(envelope.payload)
      case KIND.NEXT:
        return
      case KIND.CLOSE:
        return connection.shut(CLOSE_CODES.NORMAL, 'closed by the client')
      case KIND.HELLO:
        if (connection.isClassic) return this.#joining.rename(readHello(envelope.payload))
        throw new SocketStreamError('BAD_FRAME', 'a second hello')
      default:
        throw new SocketStreamError('BAD_FRAME', `kind ${kind} is not one that a client sends`)
    }
  }
}

/** Whether a frame has more bytes than this; a character of text has up to three. */
function isLarger(frame: Frame, bytes: number): boolean {
  if (frame.length > bytes) return true
  return typeof frame === 'string' && frame.length * 3 > bytes && Buffer.byteLength(frame) > bytes
}
