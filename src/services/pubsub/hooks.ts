import { SocketStreamError } from '../../errors.js'
import { isThenable } from '../../thenable.js'
import type { RequestContext } from '../request-context.js'

/** Who asks: given to the hooks. */
export type PubSubContext = RequestContext

/** A hook's verdict: only `true` allows. */
export type Verdict = boolean | Promise<boolean>

/** Who may do what. A hook refuses by anything but `true`, or by throwing an error with a code of its own. */
export interface Hooks {
  /** Whether a client may subscribe to a channel, and read its history. Default: every client may. */
  readonly canSubscribe?: (ctx: PubSubContext, channel: string) => Verdict
  /**
   * Whether a client may publish; `channel` is undefined when it is to reach all. Default: none may.
   *
   * `event` and `args` are as they came, unchecked beyond the length of the event's name.
   */
  readonly canPublish?: (
    ctx: PubSubContext,
    channel: string | undefined,
    event: string,
    args: readonly unknown[],
  ) => Verdict
}

/** Names of the hooks. */
export const HOOKS = ['canSubscribe', 'canPublish'] as const

/**
 * Goes on if the verdict is `true`, at once if it is there at once.
 *
 * @throws SocketStreamError `FORBIDDEN`
 */
export function allow<T>(verdict: Verdict | undefined, then: () => T): T | Promise<T> {
  if (isThenable(verdict)) return verdict.then(settled => allow(settled === true, then))
  if (verdict !== true) throw forbidden()
  return then()
}

/** The error for what a client may not do. */
export function forbidden(): SocketStreamError {
  return new SocketStreamError('FORBIDDEN', 'The service does not allow this to this client')
}
