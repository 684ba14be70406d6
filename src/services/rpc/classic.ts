/** RPC as clients of SocketStream 0.4 speak it: `{ m, p }` is answered with `{ p }` or `{ e }`. */
import { SocketStreamError } from '../../errors.js'
import type { Responder, ServiceServer, TextClient } from '../service.js'

/** A call in the words of 0.4. */
export interface ClassicPayload {
  /** The method, such as `demo.square`. */
  readonly m: string
  /** The arguments. */
  readonly p: readonly unknown[]
}

/** Whether a message is such a call. */
export function isClassicPayload(message: unknown): message is ClassicPayload {
  if (message === null || typeof message !== 'object') return false
  const { m, p } = message as { m?: unknown; p?: unknown }
  return typeof m === 'string' && Array.isArray(p)
}

/** Whether a call is answered in the words of 0.4. */
export function isClassic(responder: Responder): responder is ClassicResponder {
  return responder instanceof ClassicResponder
}

/** The call in today's words, and a responder that answers in those of 0.4. */
export function classicCall(
  { m, p }: ClassicPayload,
  responder: Responder,
  server: Pick<ServiceServer, 'exposeErrors' | 'log'>,
): { readonly payload: unknown; readonly answer: ClassicResponder } {
  return { payload: [m, ...p], answer: new ClassicResponder(responder, server) }
}

/** Answers as 0.4 does, where the callback gets errors as well; of a stream it gets all items at its end. */
class ClassicResponder implements Responder {
  readonly #responder: Responder
  readonly #server: Pick<ServiceServer, 'exposeErrors' | 'log'>
  #items: unknown[] = []

  constructor(responder: Responder, server: Pick<ServiceServer, 'exposeErrors' | 'log'>) {
    this.#responder = responder
    this.#server = server
  }

  get ended(): boolean {
    return this.#responder.ended
  }

  get signal(): AbortSignal {
    return this.#responder.signal
  }

  reply(value: unknown): void {
    this.#responder.reply({ p: [value] })
  }

  /** Several values: each is an argument of the callback. */
  replyAll(values: readonly unknown[]): void {
    this.#responder.reply({ p: values })
  }

  error(error: unknown): void {
    if (this.ended) return
    const meant = error instanceof SocketStreamError && error.code !== 'UNENCODABLE'
    if (!meant) this.#server.log.error('call failed', { error })
    const message = error instanceof Error ? error.message : String(error)
    this.#responder.reply({
      e: { message: meant || this.#server.exposeErrors ? message : 'The server failed' },
    })
  }

  item(value: unknown): void {
    this.#items.push(value)
  }

  end(): void {
    this.#responder.reply({ p: this.#items })
  }

  ready(): Promise<boolean> {
    if (!this.ended && this.#items.length >= MAX_ITEMS) this.end()
    return Promise.resolve(!this.ended)
  }
}

/** Items of a stream that a client of 0.4 gets; the rest is left out. */
const MAX_ITEMS = 1000

/**
 * The client half for clients of 0.4: `rpc('demo.square', 7, value => …)`.
 *
 * It names nothing outside itself, as its source is sent.
 */
export function rpcTextClient(client: TextClient): unknown {
  return (method: string, ...args: unknown[]): void => {
    const last = args.at(-1)
    const callback = typeof last === 'function' ? last : console.log
    const params = typeof last === 'function' ? args.slice(0, -1) : args
    client.send({ m: method, p: params }, answer => {
      const { e, p } = answer as { e?: { message: string }; p?: unknown[] }
      if (e) console.error('RPC server error:', e.message)
      else callback(...(p ?? []))
    })
  }
}
