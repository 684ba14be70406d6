import { hasCode } from '../../errors.js'
import type { Logger } from '../../log.js'
import { isThenable } from '../../thenable.js'
import type { CheckedModelOptions, ModelContext } from './options.js'
import type { Plain } from './plain.js'

/** Connections that see the same records. */
export class Viewer {
  readonly key: string
  /** By connection; any of them can be asked about. */
  readonly contexts = new Map<string, ModelContext>()
  readonly #authorize: CheckedModelOptions['authorize']
  readonly #log: Logger

  constructor(key: string, authorize: CheckedModelOptions['authorize'], log: Logger) {
    this.key = key
    this.#authorize = authorize
    this.#log = log
  }

  /** Whether it may see a record. In doubt it may not. */
  sees(record: Plain): boolean {
    const [ctx] = this.contexts.values()
    return ctx !== undefined && maySee(this.#authorize, ctx, record, this.#log)
  }
}

/** Whether a client may see a record. In doubt it may not. */
export function maySee(
  authorize: CheckedModelOptions['authorize'],
  ctx: ModelContext,
  record: Plain,
  log: Logger,
): boolean {
  try {
    const verdict = authorize(ctx, 'read', record)
    if (!isThenable(verdict)) return verdict === true
    Promise.resolve(verdict).catch(() => undefined)
    log.error('`authorize` must answer at once about `read`: the promise it gave counts as no')
  } catch (error) {
    if (!hasCode(error)) log.error('`authorize` failed, which counts as no', { error })
  }
  return false
}
