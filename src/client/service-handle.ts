import { KIND } from '../protocol/envelope.js'
import type { Call, CallOptions, ServiceClient, ServiceUse } from '../services/service.js'
import type { ClientCore } from './client.js'
import type { ServiceLine } from './connection.js'

/** What a client half is given: the contract's `ServiceClient`, over the client. */
export class ServiceHandle implements ServiceClient {
  onmessage: ((message: unknown) => void) | undefined
  /** The service as the latest welcome has it: ids may differ after a reconnect. */
  line: ServiceLine
  readonly #core: ClientCore
  readonly #options: CallOptions

  constructor(core: ClientCore, line: ServiceLine, options: CallOptions = {}) {
    this.#core = core
    this.line = line
    this.#options = options
  }

  get id(): number {
    return this.line.id
  }

  get name(): string {
    return this.line.name
  }

  get type(): string {
    return this.line.type
  }

  get use(): ServiceUse {
    return this.line.use
  }

  /** The same service, whose calls have these options. */
  with(options: CallOptions): ServiceHandle {
    return new ServiceHandle(this.#core, this.line, options)
  }

  send(message: unknown, callback?: (value: unknown) => void): void {
    const connection = this.#core.connected
    if (callback === undefined) connection.send(this.id, message)
    else connection.callback(this.id, message, callback)
  }

  call(payload: unknown, options?: CallOptions): Call {
    return this.#core.call(KIND.CALL, this, payload, { ...this.#options, ...options })
  }

  subscribe(topic: string, handler: (value: unknown) => void): Promise<void> {
    return this.#core.subscriptions.add(this, topic, handler)
  }

  unsubscribe(topic: string): void {
    this.#core.subscriptions.remove(this, topic)
  }

  debug(): void {}
}
