import type { Envelope } from '../codec/codec.js'
import { KIND } from '../protocol/envelope.js'
import type { Request, RequestSession } from '../services/service.js'
import type { SessionLike } from '../sessions/session.js'
import type { BrokerConnection } from './connection.js'
import { DraftedSession } from './request-session.js'
import type { CallResponder } from './responder.js'
import type { ServiceEntry } from './service.js'

const NO_CALLBACK = { callbackId: undefined } as const

/**
 * One request between connection, router and service; also what middleware gets as `req`.
 *
 * It is the message that these actors tell one another, so that a request costs one object.
 */
export class BrokerRequest implements Request {
  readonly type = 'request'
  readonly connection: BrokerConnection
  readonly target: ServiceEntry
  /** Present on calls and subscribes. */
  readonly responder: CallResponder | undefined
  readonly #envelope: Envelope
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
}
