import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server as HttpServer } from 'node:http'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { engineIo } from '../../src/client/engine-io.js'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { createClient, webSocket } from '../../src/client/node.js'
import { sockJs } from '../../src/client/sockjs.js'
import type { WebSocketClass } from '../../src/client/transport.js'
import type { Server } from '../../src/server.js'
import type { RpcService } from '../../src/services/rpc/index.js'

interface App extends Pick<Server, 'address' | 'stop'> {
  readonly '~services': { readonly rpc: RpcService<{ add(ctx: unknown, a: number, b: number): number }> }
}

interface Started {
  readonly app: App
  readonly server: HttpServer
  stop(): Promise<void>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const frameworks = [
  ['express', 'A page of Express', 'Cannot GET /nothing'],
  ['fastify', 'A page of Fastify', 'Route GET:/nothing not found'],
  ['koa', 'A page of Koa', 'Not Found'],
  ['hono', 'A page of Hono', '404 Not Found'],
] as const
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function started(name: string, ...args: unknown[]): Promise<Started & { port: number }> {
  const module = await import(join(root, 'examples/http-servers', `${name}.js`))
  const example: Started = await module.start(0, ...args)
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= example.stop()
    return stopped
  }
  cleanups.push(stop)
  return { ...example, stop, port: example.app.address()?.port ?? 0 }
}

/** Clients over WebSocket, Engine.IO's polling and SockJS's, all connected. */
async function connected(port: number) {
  const urls = { ws: `ws://localhost:${port}/ws`, http: `http://localhost:${port}` }
  const polling = { transports: ['polling' as const] }
  const clients = [
    createClient<App>({ url: urls.ws, reconnect: false }),
    createClient<App>({ url: urls.http, transport: engineIo(polling), reconnect: false }),
    createJsonClient<App>({
      url: `${urls.http}/sockjs`,
      transport: sockJs({ transports: 'xhr-polling' }),
      reconnect: false,
    }),
  ]
  cleanups.push(() => clients.map(client => client.close()))
  await Promise.all(clients.map(client => client.connect()))
  return clients
}

describe.each(frameworks)('%s', (name, page, missing) => {
  test('has its pages and its 404, with clients of three transports on the same port', async () => {
    const { port } = await started(name)
    const clients = await connected(port)
    const sums = clients.map((client, index) => client.api.rpc.add(index, 1))
    const pages = ['/', '/nothing', '/socks', '/engine.iox'].map(path =>
      fetch(`http://localhost:${port}${path}`),
    )
    expect(await Promise.all(sums)).toEqual([1, 2, 3])
    const answers = await Promise.all(pages)
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 404, 404])
    const texts = await Promise.all(answers.map(answer => answer.text()))
    expect(texts[0]).toBe(page)
    expect(texts[1]).toContain(missing)
    // Where only upgrades are ours, requests are the framework's.
    expect((await fetch(`http://localhost:${port}/ws`)).status).toBe(404)
  })

  test('goes on serving when SocketStream has stopped, and has all its paths back', async () => {
    const { app, port, stop, server } = await started(name)
    const clients = await connected(port)
    const closed = clients.map(
      client => new Promise<void>(resolve => client.on('status', status => status === 'closed' && resolve())),
    )
    await app.stop()
    await Promise.all(closed)
    expect(await (await fetch(`http://localhost:${port}/`)).text()).toBe(page)
    for (const path of ['/sockjs/info', '/engine.io/?EIO=4&transport=polling']) {
      expect((await fetch(`http://localhost:${port}${path}`)).status).toBe(404)
    }
    await stop()
    expect(server.listening).toBe(false)
    await expect(fetch(`http://localhost:${port}/`)).rejects.toThrow()
  })

  test('stops with clients connected', async () => {
    const { port, stop, server } = await started(name)
    await connected(port)
    await stop()
    expect(server.listening).toBe(false)
  })

  test('runs as a command, and ends on SIGTERM', async () => {
    const { child, line } = await command(name, {})
    const port = Number(/localhost:(\d+)/.exec(line)?.[1])
    expect(line).toBe(`Pages at http://localhost:${port}, clients at ws://localhost:${port}/ws`)
    expect(await (await fetch(`http://localhost:${port}/`)).text()).toBe(page)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe('https', () => {
  test('has pages and clients of three transports, encrypted', async ({ skip }) => {
    const pem = selfSigned()
    if (!pem) return skip('there is no openssl to make a certificate with')
    const { port, app } = await started('https', { key: pem, cert: pem })
    expect(app.address()).toEqual({ url: `wss://localhost:${port}/ws`, port })
    expect(app.address('engineio')).toEqual({ url: `https://localhost:${port}/engine.io`, port })
    expect(app.address('sockjs')).toEqual({ url: `https://localhost:${port}/sockjs`, port })

    class Trusting extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { ca: pem })
      }
    }
    const transport = webSocket(Trusting as unknown as WebSocketClass)
    const clients = [
      createClient<App>({ url: `wss://localhost:${port}/ws`, transport }),
      createClient<App>({
        url: `https://localhost:${port}`,
        transport: engineIo({ ca: pem, transports: ['polling'] }),
      }),
      createClient<App>({
        url: `https://localhost:${port}`,
        transport: engineIo({ ca: pem, transports: ['websocket'] }),
      }),
    ]
    cleanups.push(() => clients.map(client => client.close()))
    await Promise.all(clients.map(client => client.connect()))
    expect(await Promise.all(clients.map(({ api }) => api.rpc.add(1, 2)))).toEqual([3, 3, 3])

    // sockjs-client takes no certificate.
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: pem })
    cleanups.push(() => agent.destroy())
    const ask = async (path: string, method = 'POST', body = '') => {
      const sent = request({ host: 'localhost', port, path, method, agent })
      const response = once(sent, 'response')
      sent.end(body)
      const [answer] = await response
      return `${answer.statusCode} ${await text(answer)}`
    }
    const session = '/sockjs/000/secure'
    expect(await ask(`${session}/xhr`)).toBe('200 o\n')
    expect(await ask(`${session}/xhr_send`, 'POST', JSON.stringify(['[16,{"v":1}]']))).toBe('204 ')
    expect(await ask(`${session}/xhr`)).toMatch(/^200 a\["\[17,/)
    expect(await ask(`${session}/xhr_send`, 'POST', JSON.stringify(['[1,1,1,["add",1,2]]']))).toBe('204 ')
    expect(await ask(`${session}/xhr`)).toBe('200 a["[2,1,3]"]\n')
    expect(await ask('/', 'GET')).toBe('200 A page over HTTPS')
    expect(await ask('/nothing', 'GET')).toBe('404 No page')
  })

  test('is refused by clients that do not know the certificate', async ({ skip }) => {
    const pem = selfSigned()
    if (!pem) return skip('there is no openssl to make a certificate with')
    const { port } = await started('https', { key: pem, cert: pem })
    const client = createClient<App>({ url: `wss://localhost:${port}/ws`, reconnect: false })
    await expect(client.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    await expect(fetch(`https://localhost:${port}/`)).rejects.toThrow()
  })

  test('runs as a command, and ends on SIGTERM', async ({ skip }) => {
    const pem = selfSigned()
    if (!pem) return skip('there is no openssl to make a certificate with')
    const folder = mkdtempSync(join(tmpdir(), 'https-'))
    cleanups.push(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'both.pem')
    writeFileSync(file, pem)
    const { child, line } = await command('https', { KEY: file, CERT: file })
    expect(line).toMatch(/^Pages at https:\/\/localhost:(\d+), clients at wss:\/\/localhost:\1\/ws$/)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

/** Runs an example on a free port; gives it and its first line. */
async function command(name: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [join(root, 'examples/http-servers', `${name}.js`)], {
    env: { ...process.env, ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanups.push(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    child.once('exit', code => reject(new Error(`${name} ended with ${code}`)))
  })
  return { child, line }
}

/** A key and a certificate for it, in one PEM. */
function selfSigned(): string | undefined {
  const options =
    '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost'
  try {
    const out = ['-keyout', '-', '-out', '-']
    return execFileSync('openssl', ['req', ...options.split(' '), ...out], { stdio: 'pipe' }).toString()
  } catch {
    return undefined
  }
}
