import type { Envelope } from '../codec/codec.js'
import { KIND } from '../protocol/envelope.js'
import type {
  EndListener,
  Outcome,
  Request,
  RequestServer,
  RequestSession,
  RequestUpload,
} from '../services/service.js'
import type { SessionLike } from '../sessions/session.js'
import type { BrokerConnection } from './connection.js'
import { RequestEnd } from './request-end.js'
import { DraftedSession } from './request-session.js'
import type { CallResponder } from './responder.js'
import type { ServiceEntry } from './service.js'
import type { Upload } from './upload.js'

const NO_CALLBACK = { callbackId: undefined } as const

/**
 * One request between connection, router and service; also what middleware gets as `req`.
 *
 * It is the message that these actors tell one another, so that a request costs one object. Middleware and
 * services may write on it: what they set stays with the request, also under the names that it has already.
 */
export class BrokerRequest implements Request {
  readonly connection: BrokerConnection
  readonly target: ServiceEntry
  /** Present on calls and subscribes. */
  readonly responder: CallResponder | undefined
  readonly #envelope: Envelope
  /** What holds back its connection's later requests for it. */
  holder: { release(): void } | undefined
  /** Who watches it; or how a message ended that nobody had watched until then. */
  #end: RequestEnd | Outcome | undefined
  #upload: RequestUpload | undefined
  #attributes: { readonly callbackId: number | undefined } | undefined

  constructor(
    connection: BrokerConnection,
    target: ServiceEntry,
    envelope: Envelope,
    responder: CallResponder | undefined,
  ) {
    this.connection = connection
    this.target = target
    this.responder = responder
    this.#envelope = envelope
  }

  /** Tells it from the actors' other messages. */
  get type(): 'request' {
    return 'request'
  }

  get kind(): Request['kind'] {
    const kind = this.#envelope.kind
    return kind === KIND.MESSAGE ? 'message' : kind === KIND.CALL ? 'call' : 'subscribe'
  }

  get message(): unknown {
    return this.#envelope.payload
  }

  set message(value: unknown) {
    this.#envelope.payload = value
  }

  get size(): number {
    return this.#envelope.size
  }

  get connectionId(): string {
    return this.connection.id
  }

  get socketId(): string {
    return this.connection.id
  }

  get clientIp(): string {
    return this.connection.clientIp
  }

  get transport(): string {
    return this.connection.transport
  }

  get service(): string {
    return this.target.name
  }

  get session(): SessionLike {
    return this.connection.session
  }

  openSession(): RequestSession {
    return new DraftedSession(this.connection)
  }

  get user(): unknown {
    return this.connection.user
  }

  get attributes(): { readonly callbackId: number | undefined } {
    this.#attributes ??= this.responder === undefined ? NO_CALLBACK : { callbackId: this.responder.id }
    return this.#attributes
  }

  get server(): RequestServer {
    return this.connection.broker.host
  }

  get idempotencyKey(): unknown {
    return this.#envelope.extensions?.idempotencyKey
  }

  get upload(): RequestUpload | undefined {
    const place = this.#envelope.extensions?.upload
    if (place === undefined || this.kind !== 'call' || this.responder === undefined) return undefined
    this.#upload ??= { place, items: this.#openUpload(this.responder.id) }
    return this.#upload
  }

  get answered(): boolean {
    return this.responder?.answered === true
  }

  onend(listener: EndListener): void {
    if (!(this.#end instanceof RequestEnd)) {
      const end = new RequestEnd(this.connection.broker.log)
      if (this.responder !== undefined) this.responder.watch(end)
      else if (this.#end === undefined) this.connection.watch(end)
      else end.settle(this.#end)
      this.#end = end
    }
    this.#end.add(listener)
  }

  abort(error: Error): boolean {
    if (this.responder?.abort(error) !== true) return false
    // Nobody downstream will see it: there is no order left to keep.
    this.holder?.release()
    return true
  }

  #openUpload(id: number): Upload {
    const { uploads } = this.connection
    const upload = uploads.open(id)
    this.onend(outcome => {
      uploads.over(id, upload)
      upload.closed(outcome)
    })
    return upload
  }

  /** Says how a message ended; the end of a call is its responder's. */
  ended(outcome: Outcome, error?: unknown): void {
    if (this.responder !== undefined || typeof this.#end === 'string') return
    if (this.#end === undefined) {
      this.#end = outcome
      return
    }
    this.connection.unwatch(this.#end)
    this.#end.settle(outcome, error)
  }
}

// Setters that give one request a property of its own cost those nothing on which nobody writes.
for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(BrokerRequest.prototype))) {
  if (descriptor.get === undefined || descriptor.set !== undefined) continue
  Object.defineProperty(BrokerRequest.prototype, name, {
    ...descriptor,
    set(this: BrokerRequest, value: unknown) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true })
    },
  })
}
