import type { Json } from './json.js'
import type { LogLevelName } from './lists.js'

export type Action =
  | { readonly type: 'closeConnection'; readonly id: string; readonly reason?: string }
  | { readonly type: 'stopActor'; readonly path: string }
  | { readonly type: 'restartActor'; readonly path: string }
  /** `message` is an object with a text as `type`. */
  | { readonly type: 'send'; readonly path: string; readonly message: Json }
  | {
      readonly type: 'publish'
      readonly service: string
      readonly channel: string
      readonly event: string
      readonly args: readonly Json[]
    }
  /** What goes to the application's log from now on is of this level at least; the tail shows all. */
  | { readonly type: 'logLevel'; readonly level: LogLevelName }

export interface ActionResult {
  readonly done: true
  /** What was done, for people. */
  readonly message: string
}
