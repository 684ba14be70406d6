/**
 * The text wire of SocketStream 0.4: `serviceId|[callbackId|]payload`.
 *
 * Whether the second field is there depends on the service, so this codec is opened with the service
 * table and keeps state. Further `|` belong to the payload. Service 0 is `_system`; its `connect` command
 * stands for hello and the answer to it for welcome. What 0.4 has no words for is not sent. Payloads are
 * plain JSON, see `plain-json.ts`.
 */
import { SocketStreamError } from '../errors.js'
import { KIND, KIND_MASK } from '../protocol/envelope.js'
import {
  badFrame,
  type Codec,
  type CodecFactory,
  type Envelope,
  type Frame,
  LazyEnvelope,
  type PayloadReader,
  type ServiceShapes,
} from './codec.js'
import { readPlain, writePlain } from './plain-json.js'

/** Services that calls can name: callback ids count per service, so an id holds both. */
const SERVICES = 4096
const MAX_SERVICE_DIGITS = 6
const MAX_CALLBACK_DIGITS = 9
const NUMBER = /^(0|[1-9]\d*)$/
const utf8 = new TextDecoder()

/** The 0.4 text wire; opened per connection. */
export function text(): CodecFactory {
  return { name: 'text', binary: false, open: services => new TextCodec(services) }
}

class TextCodec implements Codec, PayloadReader {
  readonly name = 'text'
  readonly binary = false
  readonly #services: ServiceShapes
  /** The callback id of the connect command, which the welcome answers. */
  #connect = ''

  constructor(services: ServiceShapes) {
    this.#services = services
  }

  /**
   * Encodes what 0.4 can say; the rest is the empty frame.
   *
   * A publication goes out as a message of the service given. Bytes, of a service without JSON, go out as
   * the UTF-8 text that they are. The items of a stream are left out and
   * its end answers the call with null, so that its callback is called at least.
   *
   * @throws SocketStreamError `UNENCODABLE` also for a call, and for a payload other than a string or bytes to a
   *   service without JSON
   */
  encode(kind: number, service: number, id: number, payload: unknown): string {
    switch (kind & KIND_MASK) {
      case KIND.MESSAGE:
      case KIND.PUBLICATION:
        return `${service}|${this.#hasCallbacks(service) ? '|' : ''}${this.#write(service, payload)}`
      case KIND.REPLY:
      case KIND.END: {
        const call = Math.floor(id / 2)
        const asked = call % SERVICES
        const answer =
          (kind & KIND_MASK) === KIND.END && !this.#isJson(asked) ? '' : this.#write(asked, payload)
        return `${asked}|${Math.floor(call / SERVICES)}|${answer}`
      }
      case KIND.ERROR: {
        const { code, message } = (payload ?? {}) as { code?: unknown; message?: unknown }
        return `0||${writePlain({ type: 'error', message, code })}`
      }
      case KIND.WELCOME: {
        const { session } = (payload ?? {}) as { session?: unknown }
        return `0|${this.#connect}|${writePlain({ version: '1.0', sessionId: session })}`
      }
      case KIND.CALL:
        throw new SocketStreamError('UNENCODABLE', 'A call cannot be sent over the text wire; send a message')
      default:
        return ''
    }
  }

  decode(frame: Frame): Envelope {
    if (typeof frame !== 'string') throw badFrame('Bytes where a text is agreed')
    const first = frame.indexOf('|')
    const service = readNumber(frame.slice(0, Math.max(first, 0)), MAX_SERVICE_DIGITS)
    if (!this.#hasCallbacks(service)) return this.#envelope(KIND.MESSAGE, service, 0, frame, first + 1)
    const second = frame.indexOf('|', first + 1)
    if (second < 0) throw badFrame('A frame without the field for the callback id')
    const field = frame.slice(first + 1, second)
    const callback = field === '' ? -1 : readNumber(field, MAX_CALLBACK_DIGITS)
    if (service === 0) {
      const hello = this.#hello(frame, field, second + 1)
      if (hello !== undefined) return hello
    }
    if (callback < 0) return this.#envelope(KIND.MESSAGE, service, 0, frame, second + 1)
    if (service >= SERVICES) throw badFrame(`A call to a service with an id past ${SERVICES - 1}`)
    return this.#envelope(KIND.CALL, service, (callback * SERVICES + service) * 2 + 1, frame, second + 1)
  }

  read(frame: Frame, start: number, end: number): unknown {
    const content = (frame as string).slice(start, end)
    const service = Number.parseInt(frame as string, 10)
    return this.#isJson(service) ? readPlain(content) : content
  }

  /** The hello that a connect command stands for; its content is small and read at once. */
  #hello(frame: string, callback: string, start: number): Envelope | undefined {
    const command = readPlain(frame.slice(start))
    if (typeof command !== 'object' || command === null) throw badFrame('A system command that is no object')
    const { c, sessionId } = command as { c?: unknown; sessionId?: unknown }
    if (c !== 'connect') return undefined
    const envelope = this.#envelope(KIND.HELLO, 0, 0, frame, start)
    const hello = { v: 1, caps: [] }
    envelope.payload = typeof sessionId === 'string' ? { ...hello, ...named(sessionId) } : hello
    this.#connect = callback
    return envelope
  }

  #envelope(kind: number, service: number, id: number, frame: string, start: number): Envelope {
    return new LazyEnvelope(kind, 0, service, id, undefined, this, frame, start, frame.length)
  }

  #write(service: number, payload: unknown): string {
    if (this.#isJson(service)) return writePlain(payload)
    if (typeof payload === 'string') return payload
    if (payload instanceof Uint8Array) return utf8.decode(payload)
    throw new SocketStreamError(
      'UNENCODABLE',
      `${payload === null ? 'null' : typeof payload} at $ cannot be sent over the text wire to a service without JSON; send a string`,
    )
  }

  #isJson(service: number): boolean {
    return service === 0 || this.#services.get(service)?.json === true
  }

  #hasCallbacks(service: number): boolean {
    return service === 0 || this.#services.get(service)?.callbacks === true
  }
}

/** The value of a cookie, or a token that is none. */
function named(sessionId: string): object {
  return sessionId.startsWith('s:') ? { auth: { session: sessionId } } : { session: sessionId }
}

function readNumber(digits: string, max: number): number {
  if (digits.length > max || !NUMBER.test(digits)) throw badFrame('An id that is no number')
  return Number(digits)
}
