import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { folder } from './support.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}

/** Builds clients where these packages are installed besides the package and what it depends on. */
async function build(others: readonly string[], script: string): Promise<unknown> {
  const project = folder({ 'half.js': 'export default { client: () => 1 }' })
  const modules = join(project, 'node_modules')
  // A copy, whose real path is here: it must not find our development dependencies.
  const installed = join(modules, 'socketstream-server')
  mkdirSync(installed, { recursive: true })
  for (const name of ['dist', 'package.json']) {
    cpSync(join(root, name), join(installed, name), { recursive: true })
  }
  for (const name of [...Object.keys(dependencies), ...others]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
  }
  writeFileSync(
    join(project, 'build.mjs'),
    `
    import { Server } from 'socketstream-server'
    import { ws } from 'socketstream-server/transports/ws'
    const tell = error => ({ code: error.code, message: error.message, cause: error.cause?.constructor.name })
    const build = (app, options) => app.buildClient(options).then(({ code }) => code, tell)
    const plain = (options = {}) => new Server({ transport: ws({ port: 0, ...options }) })
    const own = { clientModule: { url: new URL('./half.js', import.meta.url) } }
    ${script}`,
  )
  const { stdout } = await promisify(execFile)(process.execPath, ['build.mjs'], { cwd: project })
  return JSON.parse(stdout)
}

test('without esbuild there is the plain client', async () => {
  const built = (await build(
    [],
    `console.log(JSON.stringify([
      await build(plain()),
      await build(plain({ path: '/$&"x' })),
      await build(plain().service('rpc', { type: 'rpc', server() {} }), { codec: 'json' }),
    ]))`,
  )) as string[]
  expect(built[0]).toMatch(/^const PATH="\/";\n/)
  expect(built[1]).toMatch(/^const PATH="\/\$&\\"x";\n/)
  expect(built[2]!.length).toBeLessThan(built[0]!.length / 2)
  for (const code of built) {
    expect(code).toContain('createClient')
    expect(code).not.toContain('sourceMappingURL')
  }
})

test('without esbuild every other client says what to install', async () => {
  const failures = await build(
    [],
    `console.log(JSON.stringify([
      await build(plain(), { minify: false }),
      await build(plain().service('own', own)),
    ]))`,
  )
  const failure = {
    code: 'PACKAGE_MISSING',
    message: 'The package esbuild is not installed: this client has to be built. Run: npm install esbuild',
    cause: 'Error',
  }
  expect(failures).toEqual([failure, failure])
})

test('without the half of a transport the build says what to install', async () => {
  const failures = await build(
    ['esbuild', 'sockjs', 'engine.io'],
    `
    import { sockjs } from 'socketstream-server/transports/sockjs'
    import { engineio } from 'socketstream-server/transports/engine-io'
    console.log(JSON.stringify([
      await build(new Server({ transport: [ws({ port: 0 }), sockjs({ port: 0 })] })),
      await build(new Server({ transport: engineio({ port: 0 }) })),
      (await build(plain().service('own', own))).length > 1000,
    ]))`,
  )
  expect(failures).toEqual([
    {
      code: 'PACKAGE_MISSING',
      message:
        'The package sockjs-client is not installed: the transport sockjs needs it in browsers. Run: npm install sockjs-client',
      cause: 'Error',
    },
    {
      code: 'PACKAGE_MISSING',
      message:
        'The package engine.io-client is not installed: the transport engineio needs it in browsers. Run: npm install engine.io-client',
      cause: 'Error',
    },
    true,
  ])
})

test('without its stand-in for a module of Node a half says which package to install', async () => {
  const built = await build(
    ['esbuild'],
    `import { writeFileSync } from 'node:fs'
    const half = name => {
      const url = new URL('./' + name + '.cjs', import.meta.url)
      writeFileSync(url, 'module.exports = () => require("' + name + '")')
      return plain().service('half', { clientModule: { url } })
    }
    console.log(JSON.stringify([await build(half('events')), await build(half('stream'))]))`,
  )
  expect(built).toEqual([
    expect.objectContaining({
      code: 'PACKAGE_MISSING',
      message: expect.stringContaining('npm install events'),
    }),
    expect.objectContaining({
      code: 'PACKAGE_MISSING',
      message: expect.stringContaining('npm install readable-stream'),
    }),
  ])
})
