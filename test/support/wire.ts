import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { type MemoryConnectOptions, type MemoryTransport, memory } from '../../src/transports/memory.js'

/** A log that keeps its lines. */
export class LogLines {
  readonly lines: { level: string; message: string; details: Record<string, unknown> }[] = []

  readonly target = {
    debug: (details: object, message: string) => this.#keep('debug', details, message),
    info: (details: object, message: string) => this.#keep('info', details, message),
    warn: (details: object, message: string) => this.#keep('warn', details, message),
    error: (details: object, message: string) => this.#keep('error', details, message),
  }

  of(level: string): string[] {
    return this.lines.filter(line => line.level === level).map(line => line.message)
  }

  #keep(level: string, details: object, message: string): void {
    this.lines.push({ level, message, details: details as Record<string, unknown> })
  }
}

/** A server over the memory transport, not yet started. */
export function testServer(options: Partial<ServerOptions> = {}) {
  const transport = memory()
  const log = new LogLines()
  const app = new Server({ transport, log: log.target, env: 'test', ...options })
  return { app, transport, log }
}

/** One received JSON frame: an array of numbers with the payload last. */
export type Received = [kind: number, ...rest: unknown[]]

/** A client that speaks JSON frames by hand. */
export class WireClient {
  readonly frames: Received[] = []
  closed: { code: number; reason: string } | undefined
  readonly #link: Awaited<ReturnType<MemoryTransport['connect']>>
  #wake: (() => void)[] = []

  private constructor(link: Awaited<ReturnType<MemoryTransport['connect']>>) {
    this.#link = link
    link.listen({
      frame: frame => {
        this.frames.push(JSON.parse(frame as string) as Received)
        this.#notify()
      },
      closed: (code, reason) => {
        this.closed = { code, reason }
        this.#notify()
      },
    })
  }

  /** A connection that has not said hello. */
  static async silent(transport: MemoryTransport, options: MemoryConnectOptions = {}): Promise<WireClient> {
    return new WireClient(await transport.connect(options))
  }

  /** A connection that has been welcomed; its welcome is the first frame. */
  static async open(
    transport: MemoryTransport,
    hello: object = {},
    options: MemoryConnectOptions = {},
  ): Promise<WireClient> {
    const client = await WireClient.silent(transport, options)
    client.send([16, { v: 1, ...hello }])
    await client.next()
    return client
  }

  get welcome(): Record<string, unknown> & { services: { id: number; name: string }[] } {
    return this.frames[0]![1] as never
  }

  get link() {
    return this.#link
  }

  send(frame: unknown[] | string): void {
    this.#link.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Waits until there are `count` frames in all, and gives the last of them. */
  async received(count: number): Promise<Received> {
    while (this.frames.length < count && this.closed === undefined) await this.#event()
    const frame = this.frames[count - 1]
    if (frame === undefined) throw new Error(`closed with ${this.frames.length} of ${count} frames`)
    return frame
  }

  /** Waits for one frame more than there are now. */
  next(): Promise<Received> {
    return this.received(this.frames.length + 1)
  }

  /** Waits for the end. */
  async ended(): Promise<{ code: number; reason: string }> {
    while (this.closed === undefined) await this.#event()
    return this.closed
  }

  #event(): Promise<void> {
    return new Promise(resolve => this.#wake.push(resolve))
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
