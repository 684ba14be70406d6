import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const program = fileURLToPath(new URL('node.mjs', import.meta.url))

/** What a server says: what came of a command, or what it has seen. */
interface Message {
  readonly id?: number
  readonly value?: unknown
  readonly code?: string
  readonly left?: string
  readonly gone?: string
  readonly engine?: string
}

interface NodeOptions {
  /** Milliseconds that a call of Redis may take. Default that of the engine. */
  readonly deadline?: number
  /** The program; default `node.mjs`. */
  readonly file?: string
}

/** A server of the cluster in its own process. */
export class Node {
  readonly child: ChildProcess
  /** Ids of servers that it says have left. */
  readonly left: string[] = []
  /** Users that it says have left, from when it was told to `watch`. */
  readonly gone: string[] = []
  /** What its engine has told of itself: `down` and `up`. */
  readonly engine: string[] = []
  url = ''
  id = ''
  readonly #waiting = new Map<number, (message: Message) => void>()
  #last = 0

  constructor(port: number, prefix: string, name: string, { deadline, file = program }: NodeOptions = {}) {
    const args = [`redis://127.0.0.1:${port}`, prefix, name]
    if (deadline !== undefined) args.push(String(deadline))
    this.child = fork(file, args)
  }

  static async start(port: number, prefix: string, name: string, options: NodeOptions = {}): Promise<Node> {
    const node = new Node(port, prefix, name, options)
    const [{ ready }] = (await once(node.child, 'message')) as [{ ready: { url: string; node: string } }]
    node.url = ready.url
    node.id = ready.node
    node.child.on('message', (message: Message) => {
      if (message.left !== undefined) node.left.push(message.left)
      else if (message.engine !== undefined) node.engine.push(message.engine)
      else if (message.gone !== undefined) node.gone.push(message.gone)
      else node.#waiting.get(message.id!)?.(message)
    })
    return node
  }

  /** Has it do something; resolves to the value, or the code of the error. */
  async do<Value = unknown>(command: string, argument?: unknown): Promise<Value> {
    const id = ++this.#last
    this.child.send({ id, command, argument })
    const { value, code } = await new Promise<Message>(resolve => this.#waiting.set(id, resolve))
    return (code ?? value) as Value
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** Resolves to the exit code, or undefined when it had ended before. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null | undefined> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return undefined
    const gone = once(this.child, 'exit')
    this.child.kill(signal)
    return (await gone)[0]
  }
}

/**
 * A load balancer in the least that is one: each connection goes to the next of the nodes that takes it.
 *
 * @param nodes may be changed at any time
 */
export async function balancer(nodes: readonly Node[]): Promise<string> {
  const sockets = new Set<Socket>()
  let next = 0
  const server = createServer(client => {
    sockets.add(client)
    client.on('error', () => client.destroy())
    const attempt = (tries: number): void => {
      const node = nodes[next++ % nodes.length]
      if (tries === 0 || node === undefined) return void client.destroy()
      const upstream = connect({ port: node.port, host: '127.0.0.1' })
      const refused = () => attempt(tries - 1)
      upstream.once('error', refused)
      upstream.once('connect', () => {
        upstream.off('error', refused).on('error', () => client.destroy())
        client.pipe(upstream).pipe(client)
        client.on('close', () => upstream.destroy())
        upstream.on('close', () => client.destroy())
      })
    }
    attempt(nodes.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}`
}
