import { SocketStreamError } from '../errors.js'
import type { Middleware } from '../middleware/middleware.js'
import { isThenable } from '../thenable.js'
import type { Broker } from './broker.js'
import { errorEnvelope, toClientError } from './client-error.js'
import type { BrokerRequest } from './request.js'
import { tooBusy } from './too-busy.js'

/** One request's way through the middleware chain. */
export class Passage {
  /** Whether the connection's later requests wait for this one. */
  holds = false
  readonly #request: BrokerRequest
  readonly #broker: Broker
  readonly #chain: readonly Middleware[]
  #over = false

  constructor(request: BrokerRequest, broker: Broker, chain: readonly Middleware[]) {
    this.#request = request
    this.#broker = broker
    this.#chain = chain
  }

  /** Goes on with the middleware at `index`. */
  from(index: number): void {
    const { connection, responder } = this.#request
    // Whoever asked has gone, or has given up: nobody downstream need see it.
    if (!connection.open || responder?.ended) return this.#end()
    const middleware = this.#chain[index]
    if (middleware === undefined) return this.#arrive()
    let passed = false
    const next = (error?: unknown): void => {
      if (passed) return
      passed = true
      if (error === undefined || error === null) this.from(index + 1)
      else this.#refuse(error)
    }
    let outcome: unknown
    try {
      outcome = middleware(this.#request, this.#respond, next)
    } catch (error) {
      return this.#refuse(error)
    }
    if (isThenable(outcome)) {
      // Observed in any case: what fails after `next` would otherwise end the process.
      if (!passed && !this.#over) this.#hold()
      outcome.then(
        () => {
          if (!passed) this.#drop()
        },
        error => this.#refuse(error),
      )
    } else if (!passed && !this.#over) {
      // It dropped the request, or will call `next` later without having said so: nobody can tell.
      this.#request.ended('dropped')
    }
  }

  /** Its end was brought about from outside: it holds nothing back any more. */
  release(): void {
    this.#end()
  }

  #hold(): void {
    this.holds = true
    this.#request.holder = this
  }

  #respond = (reason: string | Error): void => {
    this.#refuse(typeof reason === 'string' ? new SocketStreamError('REFUSED', reason) : reason)
  }

  #arrive(): void {
    if (this.#over) return
    if (this.#request.target.ref.tell(this.#request)) return this.#end()
    this.#refuse(tooBusy(`service ${this.#request.service}`))
  }

  #drop(): void {
    if (this.#over) return
    const { connection, responder } = this.#request
    if (responder !== undefined) connection.drop(responder, 'dropped')
    else this.#request.ended('dropped')
    this.#end()
  }

  #refuse(error: unknown): void {
    if (this.#over) {
      if (!(error instanceof SocketStreamError)) this.#broker.log.error('a middleware failed late', { error })
      return
    }
    const { connection, responder, service } = this.#request
    if (responder !== undefined) responder.error(error)
    else if (connection.open) {
      const payload = toClientError(error, this.#broker, `middleware before ${service}`)
      connection.deliver(errorEnvelope(this.#broker, connection.codec, payload, { id: 0, service }))
    }
    this.#request.ended('error', error)
    this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    if (this.holds) this.#broker.router.tell({ type: 'release', connection: this.#request.connection })
  }
}
