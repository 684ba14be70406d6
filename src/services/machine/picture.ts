import type { AnyActorLogic } from '../../actors/runtime/index.js'
import { packSnapshot, unpackSnapshot } from '../../actors/runtime/index.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { CheckedMachineOptions, MachineContext } from './options.js'
import type { Shown } from './viewers.js'

/**
 * A state on its way to another server.
 *
 * Where all viewers see the same, what they see; otherwise the snapshot, as `project` has to run where its viewers are.
 */
export type Sent =
  | readonly ['view', status: string, view: unknown]
  | readonly ['snapshot', status: string, bytes: Uint8Array]
  | readonly ['failed', status: string, code: string, message: string]

/** A state as the viewers of one server are shown it. */
export interface Picture extends Shown {
  /** @throws what `project` throws, and `UNENCODABLE` */
  view(ctx: MachineContext | undefined): unknown
}

/** Makes states of some logic into what is sent and shown. */
export class Pictures {
  readonly #logic: AnyActorLogic
  readonly #options: Pick<CheckedMachineOptions, 'shared' | 'project'>

  constructor(logic: AnyActorLogic, options: Pick<CheckedMachineOptions, 'shared' | 'project'>) {
    this.#logic = logic
    this.#options = options
  }

  /** Of an actor that lives here. */
  own(snapshot: Shown): Picture {
    const { project } = this.#options
    return { status: snapshot.status, view: ctx => project(snapshot, ctx) }
  }

  /** What is sent of an actor that lives here. */
  send(snapshot: Shown): Sent {
    const { status } = snapshot
    try {
      if (!this.#options.shared) return ['snapshot', status, packSnapshot(this.#logic, snapshot)]
      return ['view', status, this.#options.project(snapshot, undefined)]
    } catch (error) {
      return failed(status, error)
    }
  }

  /** Of an actor that lives elsewhere. */
  received([kind, status, content, text]: Sent): Picture {
    if (kind === 'view') return { status, view: () => content }
    if (kind === 'failed') {
      const error = new SocketStreamError<string>(content, String(text))
      return {
        status,
        view() {
          throw error
        },
      }
    }
    let snapshot: unknown
    return {
      status,
      view: ctx => {
        snapshot ??= unpackSnapshot(this.#logic, content)
        return this.#options.project(snapshot, ctx)
      },
    }
  }
}

/** What is sent in place of a state that cannot be. */
export function failed(status: string, error: unknown): Sent {
  if (hasCode(error)) return ['failed', status, error.code, error.message]
  return ['failed', status, 'INTERNAL', 'the view could not be made; the log of its server says why']
}
