import type { BusHandler } from '../engines/bus.js'
import type { Subscription } from '../engines/presence.js'
import type { ServiceServer } from './service.js'

/** Milliseconds before it is tried again. */
const RETRY = 1000

/** Listens on the bus of the engine, if it has one: as soon as it can, as a server may start while the engine is away. */
export class BusListener {
  readonly #server: ServiceServer
  readonly #node: string
  readonly #handler: BusHandler
  readonly #late: () => void
  #subscription: Subscription | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  /** @param late called when it listens only after a failure: what was sent before was not heard */
  constructor(server: ServiceServer, node: string, handler: BusHandler, late: () => void = () => {}) {
    this.#server = server
    this.#node = node
    this.#handler = handler
    this.#late = late
  }

  /** Resolves when it listens, or has failed and will try again. */
  async listen(): Promise<void> {
    const { engine, log } = this.#server
    const isLate = this.#retry !== undefined
    try {
      this.#subscription = await engine.bus?.listen(this.#node, this.#handler)
    } catch (error) {
      if (this.#closed) return
      if (!isLate) log.warn('other servers are not heard yet', { error })
      this.#retry = setTimeout(() => void this.listen(), RETRY).unref()
      return
    }
    if (this.#closed) this.#subscription?.close()
    else if (isLate) this.#late()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#subscription?.close()
  }
}
