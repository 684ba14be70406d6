import { Server, type ServerOptions } from '../../src/index.js'
import type { Middleware } from '../../src/middleware/middleware.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { Connection, ServiceDefinition, ServiceServer } from '../../src/services/service.js'
import { type TestKit, testServer } from '../../src/testing/test-server.js'
import type { MemoryConnectOptions } from '../../src/transports/memory.js'
import { LogLines, type Received, WireClient } from '../support/wire.js'

/** A server with an rpc service (1) and one of its own (2), under virtual time. */
export async function startServer(options: Partial<ServerOptions> = {}, ...middleware: Middleware[]) {
  const log = new LogLines()
  const ran: unknown[] = []
  const gone: string[] = []
  const aborted: unknown[] = []
  const waiting: { resolve(value: unknown): void }[] = []
  let own!: ServiceServer
  let connection: Connection | undefined
  const methods = rpc({
    echo(_ctx, value: unknown) {
      ran.push(value)
      return value
    },
    wait(ctx, name: string) {
      ran.push(name)
      ctx.signal.addEventListener('abort', () => aborted.push(name))
      return new Promise(resolve => waiting.push({ resolve }))
    },
    async *count(_ctx, from: number, to: number) {
      for (let n = from; n <= to; n++) yield n
    },
  })
  const definition: ServiceDefinition = {
    server(server) {
      own = server
      server.onopen = opened => {
        connection = opened
      }
      server.onclose = closed => void gone.push(closed.id)
      server.onsubscribe = () => {}
      server.onmessage = message => void ran.push(message)
      return {}
    },
  }
  const kit = await testServer(transport => {
    const app = new Server({ transport, log: log.target, env: 'test', ...options })
    for (const one of middleware) app.use(one)
    return app.service('rpc', methods).service('own', definition)
  })
  const disconnected: string[] = []
  kit.app.events.on('client:disconnect', id => disconnected.push(id))
  return {
    kit,
    log,
    ran,
    gone,
    aborted,
    disconnected,
    own,
    /** The connection opened last. */
    get connection() {
      return connection!
    },
    /** Answers the call of `wait` that came first. */
    release: (value: unknown) => waiting.shift()!.resolve(value),
    /** A client that can be resumed. */
    open: (options?: MemoryConnectOptions) => ResumableWire.open(kit, {}, options),
  }
}

type Kit = Pick<TestKit<Server>, 'transport' | 'settle'>

/** A client that writes frames by hand and counts what it gets, over one link after another. */
export class ResumableWire {
  readonly #kit: Kit
  /** Of the first link. */
  readonly welcome: WireClient['welcome']
  client: WireClient
  /** Counted frames, over all links. */
  readonly got: Received[] = []
  recv = 0
  tries = 0

  private constructor(kit: Kit, client: WireClient) {
    this.#kit = kit
    this.welcome = client.welcome
    this.client = client
  }

  static async open(
    kit: Kit,
    hello: object = {},
    options: MemoryConnectOptions = {},
  ): Promise<ResumableWire> {
    const client = await WireClient.open(kit.transport, { caps: ['resume'], ...hello }, options)
    return new ResumableWire(kit, client)
  }

  get token() {
    return this.welcome.token as string
  }

  get session() {
    return this.welcome.session as string
  }

  get cid() {
    return this.welcome.cid as string
  }

  /** Sends frames, and takes what comes of them. */
  async send(...frames: unknown[][]): Promise<void> {
    for (const frame of frames) this.client.send(frame)
    await this.take()
  }

  /** Takes what has come: counts it once. */
  async take(): Promise<Received[]> {
    await this.#kit.settle()
    const counted = this.client.frames.splice(0).filter(([kind]) => (kind & 31) < 16)
    this.got.push(...counted)
    this.recv += counted.length
    return counted
  }

  /** Loses the link without a word; what was on its way to the client is lost. */
  async lose(): Promise<void> {
    this.client.link.terminate()
    await this.#kit.settle()
  }

  /** Comes back on another link; gives the welcome. */
  async resume(
    { resume, ...hello }: { resume?: object; session?: string | undefined } = {},
    options: MemoryConnectOptions = {},
  ): Promise<Record<string, unknown>> {
    const asked = { token: this.token, try: ++this.tries, recv: this.recv, ...resume }
    this.client = await WireClient.open(
      this.#kit.transport,
      { caps: ['resume'], session: this.session, ...hello, resume: asked },
      options,
    )
    const { welcome } = this.client
    await this.take()
    return welcome
  }
}
