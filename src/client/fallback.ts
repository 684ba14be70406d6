import type { Codec, CodecFactory, Envelope, Frame, ServiceShapes } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import type { Extensions } from '../protocol/envelope.js'
import { FallbackLink } from './fallback-link.js'
import { addressed, first, type Memory, recalled, tabMemory } from './fallback-order.js'
import type { ClientTransport } from './transport.js'

/** One way to connect. */
export interface FallbackEntry {
  /** What is remembered, such as `ws`. The way of that name has a `ws:` URL, all others `http:` ones. */
  readonly name: string
  /** Where, resolved against the client's `url`. Default that itself. */
  readonly url?: string
  /** Whether it carries bytes; the text codec is used on it otherwise. */
  readonly binary: boolean
  /** Gives its transport when its turn comes, so that only what is used is loaded. */
  readonly load: () => ClientTransport | Promise<ClientTransport>
}

/** Options of `fallback`. */
export interface FallbackOptions {
  /** Milliseconds in which a way must have brought its first frame, loading included. Default 5000. */
  readonly timeout?: number
  /** Where the name of the way that worked is kept. Default `sessionStorage`; without one, in memory. */
  readonly remember?: Memory
  /** Called with the name of a way that works, before its first frame is handled. It MUST NOT throw. */
  readonly onTransport?: (name: string) => void
}

/** Codecs by what a link carries; one may be both. */
export interface FallbackCodecs {
  readonly binary: CodecFactory
  readonly text: CodecFactory
}

/** Largest delay that a timer takes, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1

/**
 * A transport that tries several in order, and the codec that goes with it.
 *
 * Each link begins with the way that worked last. A way has failed when it closes before its first
 * frame, cannot be loaded, or is silent for too long; then it is the next one's turn.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function fallback(
  entries: readonly FallbackEntry[],
  codecs: FallbackCodecs,
  { timeout = 5000, remember, onTransport }: FallbackOptions = {},
): { transport: ClientTransport; codec: CodecFactory } {
  if (entries.length === 0) {
    throw new SocketStreamError('INVALID_OPTION', "`transports` is empty: give ['ws', 'engineio', 'sockjs']")
  }
  if (!(timeout > 0 && timeout <= MAX_TIMER)) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      '`timeout` of a fallback must be milliseconds, such as 5000',
    )
  }
  const names = new Map<string, string>()
  // A connection opens its codec and, in the same breath, its link. The codec has to know which way the
  // link tries, but the two interfaces do not meet: so each codec waits here for the link that follows.
  let unpaired: SwitchingCodec | undefined
  return {
    codec: {
      name: codecs.binary.name,
      binary: codecs.binary.binary,
      open: services => {
        unpaired = new SwitchingCodec(codecs, services)
        return unpaired
      },
    },
    transport: {
      open(url, _protocols, handler) {
        const codec = unpaired
        unpaired = undefined
        if (codec === undefined) {
          throw new SocketStreamError('INVALID_STATE', 'Use the transport of fallback() with its codec')
        }
        const memory = remember ?? tabMemory(url, names)
        return new FallbackLink(handler, timeout, {
          list: () => first(addressed(entries, url), recalled(memory)),
          // Protocols name the codec, so those of the connection do not do.
          codecFor: way => codec.use(way.binary),
          worked: ({ name }) => {
            try {
              memory.set(name)
            } catch {
              // What cannot be kept is tried again the next time.
            }
            onTransport?.(name)
          },
        })
      },
    },
  }
}

/** The codec of one connection: it writes what the way under way carries, and reads what comes. */
class SwitchingCodec implements Codec {
  readonly #binary: Codec
  readonly #text: Codec
  #current: Codec

  constructor(codecs: FallbackCodecs, services: ServiceShapes) {
    this.#binary = codecs.binary.open(services)
    this.#text = codecs.text.open(services)
    this.#current = this.#binary
  }

  get name(): string {
    return this.#current.name
  }

  get binary(): boolean {
    return this.#current.binary
  }

  /** Writes for such a link from now on; gives the codec's name. */
  use(binary: boolean): string {
    this.#current = binary ? this.#binary : this.#text
    return this.name
  }

  encode(kind: number, service: number, id: number, payload: unknown, extensions?: Extensions): Frame {
    return this.#current.encode(kind, service, id, payload, extensions)
  }

  decode(frame: Frame): Envelope {
    return (typeof frame === 'string' ? this.#text : this.#binary).decode(frame)
  }
}
