import type { Hello, InspectorClient, Overview, WatchItem } from '../protocol/index.js'

/** The methods of the inspector, as a client has them. */
export type Api = InspectorClient

/**
 * How it stands with the server.
 *
 * - `connecting`: for the first time
 * - `connected`
 * - `lost`: was connected, and comes back by itself
 * - `denied`: the server wants a token or refuses this place
 * - `offline`: a file is shown
 */
export type SourceStatus = 'connecting' | 'connected' | 'lost' | 'denied' | 'offline'

/** Where the page gets what it shows: a server, or a file. */
export interface Source {
  readonly api: Api
  readonly status: SourceStatus
  readonly hello: Hello | undefined
  readonly overview: Overview | undefined
  /** The newest item of the watch. */
  readonly item: WatchItem | undefined
  /** Ascends with each connection: what was asked before is to be asked again. */
  readonly epoch: number
  /** Of a file, what it is; else left out. */
  readonly file?: FileFacts
  /** Tells of each change; returns how to stop it. */
  subscribe(listener: () => void): () => void
  close(): void
}

/** What is said of a file that is shown. */
export interface FileFacts {
  readonly name: string
  readonly kind: 'trace' | 'snapshot'
  readonly takenAt: number
}

/** Tells listeners that something has changed. */
export class Changes {
  readonly #listeners = new Set<() => void>()

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
