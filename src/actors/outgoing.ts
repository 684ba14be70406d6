import type { Codec, Frame } from '../codec/codec.js'
import type { CallResponder } from './responder.js'

/**
 * One envelope on its way out, encoded when it is made.
 *
 * Encoding at once keeps later changes of the value out of the message and throws at the sender. One
 * object serves every recipient: connections with another codec share one transcoded frame each.
 */
export class Outgoing {
  readonly type = 'outgoing'
  readonly kind: number
  readonly service: number
  readonly id: number
  /** The call that it belongs to, if it is an item or the final answer of one. */
  readonly responder: CallResponder | undefined
  readonly #codec: Codec
  #frame: Frame
  #transcoded: Map<string, Frame> | undefined

  /** @throws SocketStreamError `UNENCODABLE` */
  constructor(
    codec: Codec,
    kind: number,
    service: number,
    id: number,
    payload: unknown,
    responder?: CallResponder,
  ) {
    this.kind = kind
    this.service = service
    this.id = id
    this.responder = responder
    this.#codec = codec
    this.#frame = codec.encode(kind, service, id, payload)
  }

  /** Length of the frame as it was first encoded: bytes, or characters of a text codec. */
  get size(): number {
    return this.#frame.length
  }

  /** Lets go of the larger buffer that a small frame may be a view of: it is to be kept for a while. */
  compact(): void {
    const frame = this.#frame
    if (typeof frame !== 'string' && frame.buffer.byteLength > frame.byteLength) {
      this.#frame = new Uint8Array(frame)
      // What was made of it for other codecs may be a view as well, and is made again if it is needed.
      this.#transcoded = undefined
    }
  }

  /**
   * The frame for a connection's codec; empty when that codec has no form for the envelope.
   *
   * @throws SocketStreamError `UNENCODABLE` when the other codec cannot carry the value
   */
  frameFor(codec: Codec): Frame {
    if (codec.name === this.#codec.name) return this.#frame
    this.#transcoded ??= new Map()
    let frame = this.#transcoded.get(codec.name)
    if (frame === undefined) {
      const payload = this.#codec.decode(this.#frame).payload
      frame = codec.encode(this.kind, this.service, this.id, payload)
      this.#transcoded.set(codec.name, frame)
    }
    return frame
  }
}
