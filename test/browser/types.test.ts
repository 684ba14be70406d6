import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { Server } from '../../src/server.js'
import { machine } from '../../src/services/machine/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'
import { folder } from './support.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A page's script, as it is with the declarations beside the module. */
const PAGE = `
import { createClient, SocketStreamError, type ClientStatus } from './client.js'
import type { RpcService } from 'socketstream-server/services/rpc'

const client = createClient()
createClient({ url: 'ws://localhost', timeout: 5 })
const status: ClientStatus = client.status
const sum: unknown = await client.api.rpc.add(1, 2)
client.api.news.on('said', (...args: unknown[]) => args.length)
client.api.flow.get('1').subscribe(() => {})
const own: unknown = client.api.own
// @ts-expect-error its methods are not known here
client.api.own.anything()
// @ts-expect-error there is no such service
client.api.other
// @ts-expect-error it is private
client.api.vault
// @ts-expect-error there is no such option
createClient({ urls: [] })

interface App {
  readonly '~services': { readonly rpc: RpcService<{ add(ctx: unknown, a: number, b: number): number }> }
}
const exact: Promise<number> = createClient<App>().api.rpc.add(1, 2)
// @ts-expect-error a text is no number
createClient<App>().api.rpc.add('1', 2)
export const all = [status, sum, own, exact, new SocketStreamError('TIMEOUT', 'late')]
`

describe('the declarations', () => {
  test.for([
    ['typescript-5.6', 'nodenext'],
    ['typescript', 'bundler'],
  ] as const)(
    'type a page, with %s and resolution %s',
    { timeout: 60_000 },
    async ([compiler, resolution]) => {
      const half = folder({ 'half.js': 'export default {}' })
      const app = new Server({ transport: ws({ port: 0 }) })
        .service('rpc', rpc({ add: (_ctx, a: number, b: number) => a + b }))
        .service('news', pubsub())
        .service('flow', machine(createMachine({}), { events: [], authorize: () => true }))
        .service('own', { clientModule: { url: join(half, 'half.js') } })
        .service('vault', { private: true })
      const { types } = await app.buildClient()
      const project = folder({
        'client.d.ts': types,
        'client.js': '',
        'page.ts': PAGE,
        'package.json': '{"type":"module"}',
      })
      mkdirSync(join(project, 'node_modules'))
      symlinkSync(root, join(project, 'node_modules', 'socketstream-server'), 'junction')
      symlinkSync(join(root, 'node_modules', '@types'), join(project, 'node_modules', '@types'), 'junction')
      const options = {
        module: resolution === 'bundler' ? 'esnext' : 'nodenext',
        moduleResolution: resolution,
        target: 'es2022',
        lib: 'es2023,dom',
        types: 'node',
        strict: 'true',
        noEmit: 'true',
      }
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
      expect(await compile(compiler, project, [...args, 'page.ts', 'client.d.ts'])).toBe('')
    },
  )
})

/** Compiles; gives the complaints. */
function compile(compiler: string, cwd: string, args: readonly string[]): Promise<string> {
  const require = createRequire(import.meta.url)
  const tsc = join(dirname(require.resolve(`${compiler}/package.json`)), 'bin/tsc')
  return new Promise(done => {
    execFile(process.execPath, [tsc, ...args], { cwd }, (error, stdout, stderr) =>
      done(stdout + stderr || (error?.message ?? '')),
    )
  })
}
