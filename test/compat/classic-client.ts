/** A client that speaks to the server as SocketStream 0.4's did: over the text wire, with discovered halves. */
import { createRequire } from 'node:module'
import type { MemoryClientLink } from '../../src/transports/memory.js'

/** Whatever a service of 0.4 makes of it: these are not typed. */
export type Loose = ReturnType<typeof JSON.parse>
type Handler = (client: ClassicService) => unknown
interface Params {
  readonly id: number | string
  readonly name: string
  readonly options?: Record<string, unknown>
  readonly use?: { json?: boolean; callbacks?: boolean }
}

/** One service in the client. */
class ClassicService {
  readonly id: number | string
  readonly name: string
  readonly options: Record<string, unknown>
  readonly use: NonNullable<Params['use']>
  onmessage: ((message: never) => void) | undefined
  #count = 0
  readonly #callbacks: Record<number, ((value: never) => void) | undefined> = {}

  constructor(
    params: Params,
    readonly write: (frame: string) => void,
  ) {
    this.id = params.id
    this.name = params.name
    this.options = params.options ?? {}
    this.use = params.use ?? {}
  }

  send(message: unknown, callback?: (value: never) => void): void {
    const fields: unknown[] = [this.id]
    if (this.use.callbacks) {
      const id = ++this.#count
      this.#callbacks[id] = callback
      fields.push(id)
    }
    fields.push(this.use.json ? JSON.stringify(message) : message)
    this.write(fields.join('|'))
  }

  read(fields: string[]): void {
    const id = this.use.callbacks ? Number(fields.shift()) : 0
    const text = fields.join('|')
    const value = (this.use.json ? JSON.parse(text) : text) as never
    const handler = (id ? this.#callbacks[id] : undefined) ?? this.onmessage
    delete this.#callbacks[id]
    handler?.(value)
  }
}

/** The client; `api` is filled by `discover`. */
export class ClassicClient {
  // Halves are evaluated here, as a page of 0.4 did it, and `require` is there as its bundler gave it.
  readonly api: Record<string, Loose> = {}
  readonly errors: { type: string; message: string; code?: string }[] = []
  readonly frames: string[] = []
  closed: number | undefined
  readonly #services: Record<string, ClassicService> = {}
  readonly #system: ClassicService
  #wake: (() => void)[] = []

  constructor(readonly write: (frame: string) => void) {
    const params = { id: '0', name: '_system', use: { json: true, callbacks: true } }
    this.provide(params, system => {
      system.onmessage = error => this.errors.push(error)
    })
    this.#system = this.#services['0']!
  }

  /** A client on a link of the memory transport. */
  static on(link: MemoryClientLink): ClassicClient {
    const client = new ClassicClient(frame => link.send(frame))
    link.listen({ frame: frame => client.process(frame as string), closed: code => client.end(code) })
    return client
  }

  provide(params: Params, handler: Handler): void {
    const service = new ClassicService(params, this.write)
    this.#services[service.id] = service
    const api = handler(service)
    if (api) this.api[service.name] = api
  }

  connect(sessionId: string | false = false): Promise<{ version: string; sessionId: string }> {
    return new Promise(resolve => this.#system.send({ c: 'connect', v: '0.0.1', sessionId }, resolve))
  }

  discover(): Promise<{ params: Params; handler: string }[]> {
    return new Promise(resolve => {
      this.#system.send({ c: 'discover', p: {} }, (services: { params: Params; handler: string }[]) => {
        for (const { params, handler } of services) {
          const evaluate = new Function('require', `let handler; handler = ${handler}; return handler`)
          this.provide(params, evaluate(createRequire(import.meta.url)))
        }
        resolve(services)
      })
    })
  }

  process(frame: string): void {
    this.frames.push(frame)
    const fields = frame.split('|')
    const service = this.#services[fields.shift()!]
    if (service === undefined) throw new Error(`no service for ${frame}`)
    service.read(fields)
    this.#notify()
  }

  end(code: number): void {
    this.closed = code
    this.#notify()
  }

  /** Waits until something is so. */
  async until(condition: () => unknown): Promise<void> {
    while (!condition()) await new Promise<void>(resolve => this.#wake.push(resolve))
  }

  /** What a function with a callback gives it. */
  static answer(ask: (callback: (...values: unknown[]) => void) => void): Promise<unknown[]> {
    return new Promise(resolve => ask((...values) => resolve(values)))
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
