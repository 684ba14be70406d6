import type { OnCrash } from './supervision.js'

/** What a watcher hears of the actor at `path`. */
export type WatchEvent =
  | {
      readonly type: 'crashed'
      readonly path: string
      readonly error: unknown
      /** Of the message in hand; undefined when there was none. */
      readonly messageType: string | undefined
      /** What the crash leads to. */
      readonly action: OnCrash
    }
  | { readonly type: 'restarted'; readonly path: string }
  | { readonly type: 'stopped'; readonly path: string }

/** Is called with what happens to a watched actor. */
export type WatchListener = (event: WatchEvent) => void
