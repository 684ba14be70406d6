import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** What users write, in TypeScript; compiled against the package as npm would install it. */
const ESM = `
import whole, { Server, SocketStreamError, type Logger, type ServerOptions } from 'socketstream-server'
import { ActorSystem } from 'socketstream-server/actors'
import { createClient } from 'socketstream-server/client'
import { createClient as createJsonClient } from 'socketstream-server/client/json'
import { json } from 'socketstream-server/codec/json'
import { msgpack } from 'socketstream-server/codec/msgpack'
import { text } from 'socketstream-server/codec/text'
import { rateLimiter } from 'socketstream-server/middleware/rate-limiter'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'
import { ws } from 'socketstream-server/transports/ws'

const adder = new ActorSystem().spawn('adder', { receive: (_state, { by }: { by: number }) => by })
adder.tell({ by: 1 })
// @ts-expect-error a text is no number
adder.tell({ by: '1' })

const options: ServerOptions = { transport: [ws({ port: 0 }), memory()] }
const app = new Server(options)
  .use(rateLimiter({ maxRequestsPerSecond: 10 }))
  .service('rpc', rpc({ add: (_ctx, a: number, b: number) => a + b }))
  .service('chat', pubsub<{ said: [who: string, what: string] }>())
const api = await app.start()
api.chat.publish.all('said', 'Ann', 'hello')
// @ts-expect-error an event that there is not
api.chat.publish.all('sung', 'Ann', 'hello')

const client = createClient<typeof app>({ url: 'ws://localhost', codec: msgpack(), transport: memoryClient(memory()) })
const sum: number = await client.api.rpc.add(1, 2)
// @ts-expect-error a text is no number
await client.api.rpc.add('1', 2)
client.api.chat.on('said', (who, what) => who.length + what.length + sum)
createJsonClient<typeof app>({ url: 'ws://localhost', codec: json() })

const same: typeof Server = whole
const level: Logger = app.log
export const all = [same, level, text(), new SocketStreamError('TIMEOUT', 'late')]
`

const COMMONJS = `
import Server = require('socketstream-server')
import client = require('socketstream-server/client')
import rpc = require('socketstream-server/services/rpc')
import ws = require('socketstream-server/transports/ws')

const app = new Server({ transport: ws.ws({ port: 0 }) }).service('rpc', rpc.rpc({ one: () => 1 }))
const other = new Server.Server({ transport: ws.ws({ port: 0 }) })
const sum: Promise<number> = client.createClient<typeof app>({ url: 'ws://localhost' }).api.rpc.one()
const error: Error = new Server.SocketStreamError('TIMEOUT', 'late')
export = { app, other, sum, error, codes: Server.ERROR_CODES }
`

const NAMED = `
import { Server, SocketStreamError } from 'socketstream-server'
import { memory } from 'socketstream-server/transports/memory'

export const app = new Server({ transport: memory() })
export const error: Error = new SocketStreamError('TIMEOUT', 'late')
`

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}
const folder = mkdtempSync(join(tmpdir(), 'consumer-'))

beforeAll(() => {
  const modules = join(folder, 'node_modules')
  // A copy, whose real path is here: it must not find the types of our development dependencies.
  const installed = join(modules, 'socketstream-server')
  mkdirSync(installed, { recursive: true })
  for (const name of ['dist', 'package.json'])
    cpSync(join(root, name), join(installed, name), { recursive: true })
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [name, code] of Object.entries({ 'esm.ts': ESM, 'classic.cts': COMMONJS, 'named.cts': NAMED })) {
    writeFileSync(join(folder, name), code)
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a TypeScript project compiles', { timeout: 60_000 }, () => {
  test.for([
    ['typescript-5.6', 'nodenext', 'nodenext', ['esm.ts']],
    ['typescript-5.6', 'esnext', 'bundler', ['esm.ts']],
    ['typescript-5.9', 'node20', 'node16', ['classic.cts', 'named.cts']],
    ['typescript-5.9', 'nodenext', 'nodenext', ['classic.cts', 'named.cts']],
    ['typescript', 'nodenext', 'nodenext', ['esm.ts', 'classic.cts', 'named.cts']],
  ] as const)('with %s, module %s and resolution %s: %s', async ([compiler, module, resolution, files]) => {
    const options = {
      module,
      moduleResolution: resolution,
      target: 'es2022',
      lib: 'es2023',
      types: 'node',
      strict: 'true',
      skipLibCheck: 'false',
      noEmit: 'true',
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
    expect(await compile(compiler, [...args, ...files])).toBe('')
  })
})

/** Compiles; gives the complaints. */
function compile(compiler: string, args: readonly string[]): Promise<string> {
  const tsc = join(dirname(require.resolve(`${compiler}/package.json`)), 'bin/tsc')
  return new Promise(done => {
    execFile(process.execPath, [tsc, ...args], { cwd: folder }, (error, stdout, stderr) =>
      done(stdout + stderr || (error?.message ?? '')),
    )
  })
}
