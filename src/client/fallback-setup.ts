import type { CodecFactory } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { type AnyServer, type Client, clientOf } from './client.js'
import type { ClientCore } from './core.js'
import { type FallbackCodecs, type FallbackEntry, type FallbackOptions, fallback } from './fallback.js'
import { type ResumableClientOptions, resumableCore } from './resumable-core.js'
import type { ClientTransport } from './transport.js'

/** The ways that go by a name. */
export type TransportName = 'ws' | 'engineio' | 'sockjs' | 'sse'

/** A way by its name, the same at another path, or one of your own. */
export type TransportChoice =
  | TransportName
  | { readonly name: TransportName; readonly url: string }
  | FallbackEntry

/** Options of `createClient`, with a list of transports in place of one. */
export interface FallbackClientOptions extends Omit<ResumableClientOptions, 'transport'> {
  /** What to try, in order; none is loaded before its turn. */
  readonly transports: readonly TransportChoice[]
  /** Codec for all ways. Default msgpack, and JSON on those that carry text only. */
  readonly codec?: CodecFactory
  /** How long to wait for each, and where to keep which one worked. */
  readonly fallback?: Omit<FallbackOptions, 'onTransport'>
  /** Called with the name of the way in use, each time before the client is connected. */
  readonly onTransport?: (name: string) => void
}

/**
 * Makes a client that tries transports in order.
 *
 * @param webSocket the transport behind the name `ws`
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function fallbackClient<App extends AnyServer>(
  { transports, codec, fallback: options, onTransport, ...rest }: FallbackClientOptions,
  webSocket: () => ClientTransport,
  codecs: FallbackCodecs,
): Client<App> {
  const ways = fallback(entriesOf(transports, webSocket), codec ? { binary: codec, text: codec } : codecs, {
    ...options,
    onTransport: name => {
      try {
        onTransport?.(name)
      } catch (error) {
        core.failed(error as Error)
      }
    },
  })
  const core: ClientCore = resumableCore({ ...rest, ...ways })
  return clientOf(core)
}

function entriesOf(choices: readonly TransportChoice[], webSocket: () => ClientTransport): FallbackEntry[] {
  const named: Readonly<Record<TransportName, FallbackEntry>> = {
    ws: { name: 'ws', binary: true, load: webSocket },
    engineio: {
      name: 'engineio',
      url: '/engine.io',
      binary: true,
      load: async () => (await import('./engine-io.js')).engineIo(),
    },
    sockjs: {
      name: 'sockjs',
      url: '/sockjs',
      binary: false,
      load: async () => (await import('./sockjs.js')).sockJs(),
    },
    sse: { name: 'sse', url: '/sse', binary: true, load: async () => (await import('./sse.js')).sse() },
  }
  if (!Array.isArray(choices)) throw wrong(choices)
  return choices.map((choice: TransportChoice) => {
    if (typeof choice === 'object' && choice !== null && 'load' in choice) return choice
    const { name, ...place } = typeof choice === 'string' ? { name: choice } : (choice ?? {})
    const known = Object.hasOwn(named, name) ? named[name] : undefined
    if (known === undefined) throw wrong(name)
    return { ...known, ...place }
  })
}

function wrong(found: unknown): SocketStreamError {
  return new SocketStreamError(
    'INVALID_OPTION',
    `\`transports\` must list 'ws', 'engineio', 'sockjs', 'sse' or { name, binary, load } of your own, not ${JSON.stringify(found)}`,
  )
}
