import type { Engine } from './engines/engine.js'
import type { Logger } from './log.js'

/** Follows what an engine tells of itself: whether it is down now, and a line in the log for each time. */
export class EngineWatch {
  /** Whether calls fail, or nothing is heard. */
  isDown = false
  readonly #offs: readonly (() => void)[]

  constructor(engine: Engine, log: Logger) {
    const down = (cause: unknown): void => {
      this.isDown = true
      log.warn(`the engine '${engine.name}' is down`, { error: cause })
    }
    const up = (): void => {
      this.isDown = false
      log.info(`the engine '${engine.name}' is up again`)
    }
    this.#offs = [engine.on('down', down), engine.on('up', up)]
  }

  close(): void {
    for (const off of this.#offs) off()
  }
}
