import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { pubsubClient } from '../../src/services/pubsub/client.js'
import { describeRedis, freePort } from '../support/redis.js'

const program = fileURLToPath(new URL('../../examples/workers/start.js', import.meta.url))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The example, and what it prints to stderr. */
async function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [program], { env: { ...process.env, ...env }, stdio: 'pipe' })
  const ended = once(child, 'exit')
  cleanups.push(() => {
    child.kill('SIGKILL')
    return ended
  })
  let errors = ''
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', code => reject(new Error(`the example ended with ${code}: ${errors}`)))
  })
  return { child, line, ended }
}

interface Api {
  readonly chat: {
    on(event: 'said', listener: (text: string) => void): void
    publish(channel: undefined, event: 'said', text: string): Promise<void>
  }
  readonly rpc: { whoAreYou(): Promise<number> }
}

async function connect(port: number) {
  const client = createClient({
    url: `ws://127.0.0.1:${port}`,
    services: { chat: pubsubClient },
    reconnect: { minDelay: 10, maxDelay: 200 },
  })
  cleanups.push(() => client.close())
  await client.connect()
  const api = client.api as unknown as Api
  return { client, api, pid: await api.rpc.whoAreYou() }
}

/** A client's worker, however often it has to be asked because its worker is just going. */
async function workerOf({ api }: { readonly api: Api }): Promise<number> {
  for (;;) {
    const pid = await api.rpc.whoAreYou().catch(error => {
      expect(['CONNECTION_LOST', 'NOT_CONNECTED', 'DRAINING']).toContain(error.code)
      return new Promise<undefined>(resolve => setImmediate(() => resolve(undefined)))
    })
    if (pid !== undefined) return pid
  }
}

describeRedis('the example of workers', redis => {
  test('serves one port from two processes, goes on when one is killed, and takes all clients to new ones at SIGHUP', async () => {
    const port = await freePort()
    const env = { PORT: `${port}`, WORKERS: '2', REDIS: `redis://127.0.0.1:${redis().port}` }
    const { child, line, ended } = await start(env)
    const pids = [...line.matchAll(/\d+(?=,| listen)/g)].map(Number)
    expect(pids.length).toBe(2)

    const clients = await Promise.all([1, 2, 3, 4].map(() => connect(port)))
    const [one, other] = pids.map(pid => clients.find(each => each.pid === pid)!)
    const heard = new Promise<string>(resolve => other!.api.chat.on('said', resolve))
    await one!.api.chat.publish(undefined, 'said', 'from the other process')
    expect(await heard).toBe('from the other process')

    process.kill(one!.pid, 'SIGKILL')
    const found = await Promise.all(clients.map(workerOf))
    expect(found).not.toContain(one!.pid)
    // Newcomers come to the one that was begun anew, too.
    let fresh = other!.pid
    while (fresh === other!.pid) {
      const newcomer = await connect(port)
      fresh = newcomer.pid
      newcomer.client.close()
    }

    const before = [other!.pid, fresh]
    child.kill('SIGHUP')
    let after: number[]
    do after = await Promise.all(clients.map(workerOf))
    while (after.some(pid => before.includes(pid)))

    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  })

  test('says at once what is wrong with the program', async () => {
    const failed = start({ PORT: 'none', WORKERS: '2', REDIS: `redis://127.0.0.1:${redis().port}` })
    await expect(failed).rejects.toThrow(/WORKER_FAILED|before it listened/)
  })
})
