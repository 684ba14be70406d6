import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

/** What the proxy does with upgrades: passes them on, answers 403, or says nothing. */
export type UpgradeMode = 'pass' | 'refuse' | 'swallow'

/** A proxy before one HTTP server, as they stand in networks that block WebSockets. */
export class UpgradeRefusingProxy {
  mode: UpgradeMode
  /** Port of the server behind. */
  target: number
  /** Paths below these get a 403. */
  blocked: readonly string[] = []
  /** What was asked for, in order, such as `GET /engine.io/` and `UPGRADE /`. */
  readonly asked: string[] = []
  readonly #server = createServer((asked, answer) => this.#request(asked, answer))
  readonly #sockets = new Set<Socket>()
  readonly #swallowed: (() => void)[] = []

  private constructor(target: number, mode: UpgradeMode) {
    this.target = target
    this.mode = mode
    this.#server.on('connection', socket => this.#keep(socket))
    this.#server.on('upgrade', (asked, socket, head) => this.#upgrade(asked, socket as Socket, head))
  }

  static async listening(target: number, mode: UpgradeMode): Promise<UpgradeRefusingProxy> {
    const proxy = new UpgradeRefusingProxy(target, mode)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** Where clients connect, without a scheme. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Waits for an upgrade that gets no answer. */
  swallowed(): Promise<void> {
    return new Promise(resolve => this.#swallowed.push(resolve))
  }

  /** Cuts all that is under way. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.#server.close()
    this.cut()
    await once(this.#server, 'close')
  }

  #request(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, headers, url = '/' } = asked
    this.asked.push(`${method} ${url.split('?')[0]}`)
    if (this.#blocks(url)) {
      answer.writeHead(403).end()
      return
    }
    const passed = request({ host: '127.0.0.1', port: this.target, method, path: url, headers, agent: false })
    passed.on('response', response => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      // Streams have to begin before their first data.
      answer.flushHeaders()
      response.on('error', () => answer.destroy())
      response.pipe(answer)
    })
    passed.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()))
    answer.on('close', () => passed.destroy())
    asked.pipe(passed)
  }

  #upgrade({ url = '/', rawHeaders }: IncomingMessage, socket: Socket, head: Buffer): void {
    this.asked.push(`UPGRADE ${url.split('?')[0]}`)
    if (this.mode === 'refuse' || this.#blocks(url)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    if (this.mode === 'swallow') {
      for (const wake of this.#swallowed.splice(0)) wake()
      return
    }
    const lines = rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
    const passed = connect(this.target, '127.0.0.1')
    this.#keep(passed)
    passed.write(`GET ${url} HTTP/1.1\r\n${lines}\r\n`)
    passed.write(head)
    passed.on('close', () => socket.destroy())
    socket.on('close', () => passed.destroy())
    socket.pipe(passed).pipe(socket)
  }

  #blocks(url: string): boolean {
    return this.blocked.some(path => url.startsWith(path))
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    // Whoever went away has been heard of by its close.
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
