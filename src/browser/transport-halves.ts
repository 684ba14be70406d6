/** The half of a transport that runs in browsers. */
export interface TransportHalf {
  /** File in `src/client`, without its extension. */
  readonly file: string
  /** The function in it that makes the transport. */
  readonly factory: string
  /** Path where servers have it unless told otherwise. */
  readonly path: string
  /** The package that has to be installed for it. */
  readonly needs?: string
}

/** The transports that browsers can use, by the names that servers give them. */
export const TRANSPORT_HALVES: ReadonlyMap<string, TransportHalf> = new Map([
  ['ws', { file: 'transport', factory: 'webSocket', path: '/' }],
  ['engineio', { file: 'engine-io', factory: 'engineIo', path: '/engine.io', needs: 'engine.io-client' }],
  ['sockjs', { file: 'sockjs', factory: 'sockJs', path: '/sockjs', needs: 'sockjs-client' }],
  ['sse', { file: 'sse', factory: 'sse', path: '/sse' }],
])
