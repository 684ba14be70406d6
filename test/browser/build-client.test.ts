import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { Server } from '../../src/server.js'
import { machine } from '../../src/services/machine/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import { ws } from '../../src/transports/ws.js'
import { afterwards, folder, likeBrowser, load, serve } from './support.js'

const add = rpc({ add: (_ctx, a: number, b: number) => a + b, bytes: (_ctx, bytes: Uint8Array) => bytes })

/** A service whose half is in a file. */
function inFile(file: string, more: ServiceDefinition = {}): ServiceDefinition {
  return {
    use: { json: true, callbacks: true },
    clientModule: { url: pathToFileURL(file) },
    server(server) {
      server.oncall = ({ message }, responder) => responder.reply([server.name, message])
    },
    ...more,
  }
}

const HALF = `
import { shout } from './shout.js'
export default { client: service => ({ say: text => service.call(shout(text)) }) }
export const quiet = { client: service => ({ say: text => service.call(text) }) }
`
const SHOUT = `export const shout = text => text.toUpperCase() + '!'`

function sizeOf(code: string): number {
  return gzipSync(code, { level: 9 }).length
}

describe('a built client', () => {
  const transports = {
    ws: (server: never) => [ws({ server })],
    'ws elsewhere': (server: never) => [ws({ server, path: '/real/time' })],
    engineio: (server: never) => [engineio({ server })],
    sockjs: (server: never) => [sockjs({ server })],
    sse: (server: never) => [sse({ server })],
    'all four': (server: never) => [
      sse({ server }),
      engineio({ server }),
      sockjs({ server }),
      ws({ server }),
    ],
  }

  test.for(Object.entries(transports))('talks to its server over %s', async ([, make]) => {
    likeBrowser()
    const { app, origin } = await serve(server => make(server as never), { rpc: add, news: pubsub() })
    const { code } = await app.buildClient()
    const client = (await load(code, origin)).createClient()
    afterwards(() => client.close())
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
    expect(await client.api.rpc.bytes(new Uint8Array([1, 2]))).toEqual(new Uint8Array([1, 2]))
    const heard = new Promise(resolve => client.api.news.once('said', resolve))
    ;(app.api as unknown as { news: ReturnType<ReturnType<typeof pubsub>['server']> }).news.publish.all(
      'said',
      7,
    )
    expect(await heard).toBe(7)
  })

  test('of several transports takes the next one where the first is blocked', async () => {
    likeBrowser()
    const { app, origin, http } = await serve(server => [ws({ server, path: '/ws' }), sockjs({ server })], {
      rpc: add,
    })
    http.prependListener('upgrade', ({ url }, socket) => url === '/ws' && socket.destroy())
    const { code } = await app.buildClient()
    const client = (await load(code, origin)).createClient()
    afterwards(() => client.close())
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
  })

  test('has the halves of services from their files', async () => {
    likeBrowser()
    const root = folder({ 'half.js': HALF, 'shout.js': SHOUT })
    const file = join(root, 'half.js')
    const { app, origin } = await serve(
      server => [ws({ server })],
      {
        loud: inFile(file),
        path: inFile(file, { clientModule: { url: file } }),
        quiet: inFile(file, { clientModule: { url: pathToFileURL(file), export: 'quiet' } }),
        flow: machine(createMachine({ initial: 'a', states: { a: {} } }), {
          events: [],
          authorize: () => true,
        }),
      },
      { root },
    )
    const { code } = await app.buildClient()
    const built = await load(code, origin)
    const client = built.createClient()
    afterwards(() => client.close())
    await client.connect()
    expect(await client.api.loud.say('hello')).toEqual(['loud', 'HELLO!'])
    expect(await client.api.path.say('hello')).toEqual(['path', 'HELLO!'])
    expect(await client.api.quiet.say('hello')).toEqual(['quiet', 'hello'])
    const actor = client.api.flow.get('1')
    const leave = actor.subscribe(() => {})
    await actor.ready()
    expect(actor.matches('a')).toBe(true)
    leave()

    const own = built.createClient({ services: { loud: { client: () => 'mine' } } })
    afterwards(() => own.close())
    await own.connect()
    expect(own.api.loud).toBe('mine')
    expect(await own.api.quiet.say('hello')).toEqual(['quiet', 'hello'])
  })

  test('takes another URL, and asks for one where it did not come over HTTP', async () => {
    likeBrowser()
    const { app, origin } = await serve(server => [ws({ server })], { rpc: add })
    for (const options of [{}, { minify: false }]) {
      const { createClient, SocketStreamError } = await load((await app.buildClient(options)).code)
      const client = createClient({ url: origin.replace('http', 'ws') })
      afterwards(() => client.close())
      await client.connect()
      expect(await client.api.rpc.add(1, 2)).toBe(3)
      // The smallest client leaves it to the WebSocket to say that there is no such place.
      const lost = async () => createClient({ reconnect: false }).connect()
      await expect(lost()).rejects.toBeInstanceOf(SocketStreamError)
      await expect(lost()).rejects.toThrow(options.minify === false ? '`url` must be a text' : 'closed (1002')
    }
  })

  test('is small', async () => {
    const app = new Server({ transport: ws({ port: 0 }) }).service('rpc', add).service('news', pubsub())
    const sizes: Record<string, number> = {}
    for (const codec of ['json', 'msgpack'] as const) {
      for (const minify of [true, false]) {
        const { code } = await app.buildClient({ codec, minify })
        sizes[`${codec}${minify ? '' : ', not minified'}`] = sizeOf(code)
      }
    }
    const larger = new Server({ transport: [ws({ port: 0 }), engineio({ port: 0 }), sockjs({ port: 0 })] })
    for (const transports of [['engineio'], ['sockjs'], ['ws', 'engineio', 'sockjs']]) {
      sizes[transports.join()] = sizeOf((await larger.buildClient({ transports })).code)
    }
    console.info(sizes)
    expect(sizes.json).toBeLessThanOrEqual(5_000)
    expect(sizes.msgpack).toBeLessThanOrEqual(11_000)
    expect(sizes.engineio).toBeLessThanOrEqual(20_000)
    expect(sizes.sockjs).toBeLessThanOrEqual(23_000)
    expect(sizes['ws,engineio,sockjs']).toBeLessThanOrEqual(38_000)
    expect(sizes['json, not minified']).toBeGreaterThan(sizes.json!)
  })

  test('evaluates nothing and imports nothing', async () => {
    const app = new Server({ transport: [ws({ port: 0 }), engineio({ port: 0 }), sockjs({ port: 0 })] })
    const plain = new Server({ transport: ws({ port: 0 }) })
    for (const { code } of [await app.buildClient(), await plain.buildClient()]) {
      expect(/\beval\(|new Function\b|\bimport\(|^import\b|\bfrom\s*"/m.exec(code)).toBe(null)
      expect(/export\s*\{/.test(code)).toBe(true)
    }
  })

  test('and its map name no place of this machine', async () => {
    const root = folder({ 'half.js': HALF, 'shout.js': SHOUT })
    const make = (transport: ConstructorParameters<typeof Server>[0]['transport']) =>
      new Server({ root, transport }).service('rpc', add)
    const all = make([ws({ port: 0 }), sockjs({ port: 0 })]).service('loud', inFile(join(root, 'half.js')))
    const elsewhere = inFile(join(folder({ 'half.js': HALF, 'shout.js': SHOUT }), 'half.js'))
    const bundles = [
      await make(ws({ port: 0 })).buildClient(),
      await all.buildClient(),
      await all.buildClient({ minify: false }),
      await make(ws({ port: 0 }))
        .service('loud', elsewhere)
        .buildClient({ minify: false }),
    ]
    for (const { code, map, types } of bundles) {
      const { sources, sourcesContent } = JSON.parse(map) as { sources: string[]; sourcesContent: string[] }
      expect(sources.filter(source => /^[./]|\\|:/.test(source))).toEqual([])
      expect(sources).toContain('socketstream-server/src/client/client.ts')
      expect(sourcesContent).toHaveLength(sources.length)
      for (const text of [code, map, types]) {
        expect(text).not.toContain(root)
        expect(text).not.toContain(process.cwd())
        expect(text).not.toMatch(/\.\.\/(tmp|work|home|var|private)\//)
      }
    }
    expect(JSON.parse(bundles[1]!.map).sources).toContain('half.js')
    expect(JSON.parse(bundles[1]!.map).sources).toContain('sockjs-client/lib/entry.js')
  })
})

describe('what is private', () => {
  test('leaves no trace in the client', async () => {
    const root = folder({
      'half.js': HALF,
      'shout.js': SHOUT,
      'secret-half.js': `export default { client: () => 'the-secret-text' }`,
    })
    const secret = {
      private: true,
      clientModule: { url: pathToFileURL(join(root, 'secret-half.js')) },
    } as const
    const app = new Server({ root, transport: ws({ port: 0 }) })
      .service('loud', inFile(join(root, 'half.js')))
      .service('vault', secret)
      .service('safe', { private: true, type: 'safe-type', client: () => 1 })
    for (const minify of [true, false]) {
      const { code, map, types } = await app.buildClient({ minify })
      expect(code + map + types).not.toMatch(/secret|vault|safe-type|"safe"/)
      expect(types).toContain('loud')
    }
    await expect(app.buildClient({ services: ['vault'] })).rejects.toThrow(
      '`services` names "vault"; the public services are: loud',
    )
  })

  test('and what is not chosen are left out alike', async () => {
    const root = folder({ 'half.js': HALF, 'shout.js': SHOUT })
    const app = new Server({ root, transport: ws({ port: 0 }) })
      .service('rpc', add)
      .service('loud', inFile(join(root, 'half.js')))
    const { code, map, types } = await app.buildClient({ services: ['rpc'] })
    expect(code + map + types).not.toMatch(/loud|shout/)
    expect(types).toContain('"rpc"')
  })
})

describe('a client that cannot be built', () => {
  test.for([
    ['node:fs', `import { readFileSync } from 'node:fs'\nexport default { client: () => readFileSync }`],
    ['path', `import './deep.js'\nexport default { client: () => 1 }`],
  ] as const)('says which service imports %s of Node', async ([name, half]) => {
    const root = folder({ 'half.js': half, 'deep.js': `import path from 'path'\nglobalThis.p = path` })
    const good = folder({ 'half.js': HALF, 'shout.js': SHOUT })
    const app = new Server({ root, transport: ws({ port: 0 }) })
      .service('good', inFile(join(good, 'half.js')))
      .service('bad', inFile(join(root, 'half.js')))
    await expect(app.buildClient()).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: `The client cannot be built because of service "bad": a client half imports "${name}", which only Node has; keep that in the server half`,
      cause: { errors: [{ text: expect.stringContaining(name) }] },
    })
  })

  test.for([
    ['is not there', 'missing.js', {}],
    ['lacks the export', 'half.js', { export: 'other' }],
    ['has a syntax error', 'broken.js', {}],
  ] as const)('says whose file %s', async ([, file, more]) => {
    const root = folder({ 'half.js': HALF, 'shout.js': SHOUT, 'broken.js': 'export default {' })
    const app = new Server({ root, transport: ws({ port: 0 }) }).service(
      'loud',
      inFile(join(root, file), { clientModule: { url: join(root, file), ...more } }),
    )
    await expect(app.buildClient()).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('because of service "loud": '),
      cause: { errors: [expect.anything()] },
    })
  })
})
