import type { AnswerContext } from './answering.js'
import type { Answerer, CallOfOptions } from './calls.js'
import type { Keyed, KeyedBehaviour, KeyedHandle } from './keyed.js'

/** What the service half of a cluster needs of it. */
export interface ServiceCallsInit {
  readonly id: string
  /** Milliseconds. */
  readonly lease: number
  readonly deadline: number
  others(): ReadonlySet<string>
  on(event: 'joined' | 'left', listener: (id: string) => void): () => void
  keyed(name: string, behaviour: KeyedBehaviour): Keyed
  serve(name: string, handler: Answerer): void
  ask(
    node: string,
    name: string,
    payload: unknown,
    options: { readonly deadline: number; readonly signal?: AbortSignal | undefined },
  ): Promise<unknown>
  tell(node: string, payload: unknown): void
}

/** One service of this server, and the same one on the others; the contract's `ServiceCluster`. */
export class ServiceCalls {
  readonly #init: ServiceCallsInit
  readonly #name: string
  ontold: ((payload: unknown, from: string) => void) | undefined
  onask: ((payload: unknown, context: AnswerContext) => unknown) | undefined

  constructor(service: string, init: ServiceCallsInit) {
    this.#init = init
    this.#name = `$service/${service}`
    init.serve(this.#name, (payload, _from, context) => {
      if (this.onask === undefined) throw new Error(`the service "${service}" answers no servers`)
      return this.onask(payload, context)
    })
  }

  get id(): string {
    return this.#init.id
  }

  get lease(): number {
    return this.#init.lease
  }

  get others(): ReadonlySet<string> {
    return this.#init.others()
  }

  on(event: 'joined' | 'left', listener: (id: string) => void): () => void {
    return this.#init.on(event, listener)
  }

  keyed<Payload, Answer>(
    behaviour: KeyedBehaviour<Payload, Answer>,
  ): KeyedHandle<Payload, Answer> & Pick<Keyed, 'drain'> {
    const keyed: unknown = this.#init.keyed(this.#name, behaviour)
    return keyed as KeyedHandle<Payload, Answer> & Pick<Keyed, 'drain'>
  }

  ask(node: string, payload: unknown, options: Omit<CallOfOptions, 'idempotencyKey'> = {}): Promise<unknown> {
    const { deadline = this.#init.deadline, signal } = options
    return this.#init.ask(node, this.#name, payload, { deadline, signal })
  }

  tell(node: string, payload: unknown): void {
    this.#init.tell(node, payload)
  }

  /** Something has come that another server has told. */
  heard(payload: unknown, from: string): void {
    this.ontold?.(payload, from)
  }
}
