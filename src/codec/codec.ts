import { type ErrorDetails, SocketStreamError } from '../errors.js'
import type { Extensions } from '../protocol/envelope.js'

/** One message on a transport: bytes from a binary codec, a string from a text codec. */
export type Frame = Uint8Array | string

/**
 * A codec: envelope to frame and back.
 *
 * Every codec carries the same values: null, boolean, number, bigint to 64 bits, string,
 * `Uint8Array`, `Date`, array, plain object and `Set`, to depth 100. `undefined` becomes null and is
 * left out of objects; -0 becomes 0.
 *
 * - `encode` MUST refuse every other value with `UNENCODABLE`, naming it and its place, and MUST
 *   return a frame that nothing else will write to. A small frame may be a view of a larger buffer.
 * - `encode` returns an empty frame for what its wire cannot say (only the text wire does); an empty
 *   frame MUST NOT be sent.
 * - `decode` MUST read the header only, and MUST throw `BAD_FRAME` on anything but a well-formed
 *   header of a known kind. It MUST NOT trust lengths, depth or types in the frame.
 * - `payload` of an envelope MUST throw `BAD_FRAME` on a malformed payload, on one past the limits in
 *   `protocol/envelope.ts`, on types outside the agreed ones and on the key `__proto__`; its time and
 *   memory MUST be linear in the frame's size.
 *
 * A codec for browsers, which read only what the page's own server sends, may read frames whole and
 * leave out the limits; it MUST still throw `BAD_FRAME` on what it cannot read and on the key `__proto__`.
 */
export interface Codec {
  /** Name as in the subprotocol and in URLs: `msgpack`, `json`, `text`. */
  readonly name: string
  /** Whether frames are bytes. */
  readonly binary: boolean
  /**
   * Encodes one envelope.
   *
   * @param kind the kind, with `FLAG_VOLATILE` if it is so
   * @param service the service id; 0 for kinds without one
   * @param id the correlation id, topic id or code; 0 for kinds without one
   * @throws SocketStreamError `UNENCODABLE`
   */
  encode(kind: number, service: number, id: number, payload: unknown, extensions?: Extensions): Frame
  /**
   * Reads the header of a frame; the payload may stay encoded until asked for.
   *
   * @throws SocketStreamError `BAD_FRAME`
   */
  decode(frame: Frame): Envelope
}

/** What a codec must know of a service; only the text wire looks at it. */
export interface ServiceShape {
  readonly id: number
  readonly json: boolean
  readonly callbacks: boolean
}

/** The table of services by id, as far as a codec needs it. */
export type ServiceShapes = ReadonlyMap<number, ServiceShape>

/** A codec's factory: opened once per connection with the service table. */
export interface CodecFactory {
  readonly name: string
  readonly binary: boolean
  open(services: ServiceShapes): Codec
}

/** A received envelope. */
export interface Envelope {
  /** The kind, without flags. */
  readonly kind: number
  /** `FLAG_EXTENSIONS` and `FLAG_VOLATILE`, as they stood in the frame. */
  readonly flags: number
  /** Service id; 0 for kinds without one. */
  readonly service: number
  /** Correlation id, topic id or code; 0 for kinds without one. */
  readonly id: number
  readonly extensions: Extensions | undefined
  /** Size of the encoded payload: bytes, or characters of a text codec. */
  readonly size: number
  /**
   * The payload.
   *
   * @throws SocketStreamError `BAD_FRAME` when it is first read and malformed
   */
  payload: unknown
}

/** What decodes the payload that stands at `start` to `end` of a frame. */
export interface PayloadReader {
  /** @throws SocketStreamError `BAD_FRAME` */
  read(frame: Frame, start: number, end: number): unknown
}

/** An envelope whose payload is decoded when first read. */
export class LazyEnvelope implements Envelope {
  readonly kind: number
  readonly flags: number
  readonly service: number
  readonly id: number
  readonly extensions: Extensions | undefined
  readonly #reader: PayloadReader
  #frame: Frame
  #start: number
  #end: number
  #value: unknown
  #decoded = false

  constructor(
    kind: number,
    flags: number,
    service: number,
    id: number,
    extensions: Extensions | undefined,
    reader: PayloadReader,
    frame: Frame,
    start: number,
    end: number,
  ) {
    this.kind = kind
    this.flags = flags
    this.service = service
    this.id = id
    this.extensions = extensions
    this.#reader = reader
    this.#frame = frame
    this.#start = start
    this.#end = end
  }

  get size(): number {
    return this.#end - this.#start
  }

  get payload(): unknown {
    if (!this.#decoded) {
      this.#value = this.#reader.read(this.#frame, this.#start, this.#end)
      this.#decoded = true
      this.#frame = ''
    }
    return this.#value
  }

  set payload(value: unknown) {
    this.#value = value
    this.#decoded = true
    this.#frame = ''
  }
}

/** The refusal of a frame. */
export function badFrame(message: string, details?: ErrorDetails): SocketStreamError {
  return new SocketStreamError('BAD_FRAME', message, details)
}
