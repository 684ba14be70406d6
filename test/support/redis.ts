import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, test } from 'vitest'

/** The same places as in `scripts/setup-tests.js`. */
const executablePath = process.env.REDIS_SERVER_PATH || '/usr/bin/redis-server'

/** Milliseconds that a server may take to be ready. */
const START = 10_000

/** A Redis server on a free port of the loopback, which forgets everything when it ends, unless told otherwise. */
export class RedisServer {
  port = 0
  readonly #options: Record<string, string>
  #directory = ''
  #process: ChildProcess | undefined

  /** @param options settings of Redis, as in `{ appendonly: 'yes' }` */
  constructor(options: Record<string, string> = {}) {
    this.#options = options
  }

  option(name: string): string | undefined {
    return this.#options[name]
  }

  /** Starts it; the first time on a port that nobody has. */
  async start(): Promise<this> {
    this.#directory ||= await mkdtemp(join(tmpdir(), 'redis-'))
    if (this.port > 0) return this.#launch(this.port)
    // Somebody else may take the port that was just free.
    for (let attempt = 1; ; attempt++) {
      const port = await freePort()
      try {
        await this.#launch(port)
        this.port = port
        return this
      } catch (error) {
        if (attempt === 3) throw error
      }
    }
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** It accepts connections and answers nothing. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  /** It goes on, with all that it was sent meanwhile. */
  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async #launch(port: number): Promise<this> {
    const own = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir: this.#directory }
    const options = { ...own, ...this.#options }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(executablePath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    process.once('exit', () => child.kill('SIGKILL'))
    await new Promise<void>((resolve, reject) => {
      let output = ''
      const failed = () => reject(new Error(`redis-server did not start: ${output}`))
      const timer = setTimeout(failed, START)
      const read = (chunk: Buffer): void => {
        output += chunk
        if (!output.includes('Ready to accept connections')) return
        clearTimeout(timer)
        resolve()
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('error', failed)
      child.once('exit', failed)
    })
    return this
  }
}

/** A client as docs/sessions.md has it: it gives up nothing and keeps no call back. */
export async function redisClient(port: number) {
  const client = createClient({
    socket: {
      host: '127.0.0.1',
      port,
      connectTimeout: 1000,
      socketTimeout: 5000,
      reconnectStrategy: attempt => Math.min(50 * 2 ** attempt, 1000) + Math.random() * 100,
    },
    pingInterval: 2000,
    commandOptions: { timeout: undefined as never },
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/**
 * A suite that runs with a Redis server, started before its tests and ended after them.
 *
 * Without a `redis-server` it is skipped, with the reason in its name; in CI it fails instead.
 *
 * @param body given a function for the server, to be called within tests
 */
export function describeRedis(name: string, body: (redis: () => RedisServer) => void): void {
  describeServers(name, () => new RedisServer(), body)
}

/** The same with whatever is started on several servers. */
export function describeServers<Servers extends { start(): Promise<unknown>; stop(): Promise<void> }>(
  name: string,
  make: () => Servers,
  body: (servers: () => Servers) => void,
): void {
  if (!existsSync(executablePath)) {
    const why = `no Redis at ${executablePath}`
    if (process.env.CI) {
      test(name, () => {
        throw new Error(`${why}; run scripts/setup-tests.js`)
      })
    } else describe.skip(`${name} (skipped: ${why})`, () => test(why, () => {}))
    return
  }
  describe(name, () => {
    const servers = make()
    beforeAll(() => servers.start().then(() => undefined), 60_000)
    afterAll(() => servers.stop())
    body(() => servers)
  })
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
