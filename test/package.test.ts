import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../', import.meta.url))
const manifest = readJson('package.json') as { version: string; exports: Record<string, Target> }
const subpaths = Object.keys(manifest.exports)
const modules = subpaths.filter(subpath => subpath !== './package.json')

type Target = string | { readonly [condition: string]: Target }

describe('the exports', () => {
  test('are listed one by one', () => {
    expect(subpaths.filter(subpath => subpath.includes('*'))).toEqual([])
  })

  test.each(Object.entries(manifest.exports))('of %s are there', (_subpath, target) => {
    expect(files(target).filter(file => !existsSync(root + file))).toEqual([])
  })

  test.each(modules)('of %s begin with their types', subpath => {
    const [first] = Object.keys(manifest.exports[subpath] as object)
    expect(first).toBe('types')
  })
})

describe('from CommonJS', () => {
  test('the package is the Server class', async () => {
    const found = await node(`
      var Server = require('socketstream-server')
      var transport = require('socketstream-server/transports/memory').memory()
      var app = new Server({ transport: transport })
      print({ name: Server.name, itself: Server.Server === Server && Server.default === Server, made: app instanceof Server })
    `)
    expect(found).toEqual({ name: 'Server', itself: true, made: true })
  })

  test('every export of the root is a static of it', async () => {
    const { exported, missing } = (await node(`
      const Server = require('socketstream-server')
      import('socketstream-server').then(module => {
        const exported = Object.keys(module).filter(name => name !== 'default' && name !== 'module.exports')
        print({ exported, missing: exported.filter(name => Server[name] !== module[name]) })
      })
    `)) as { exported: string[]; missing: string[] }
    expect(missing).toEqual([])
    expect(exported).toEqual(expect.arrayContaining(['Server', 'SocketStreamError', 'ERROR_CODES']))
  })

  // A module with a top-level await, its own or that of one it imports, cannot be required.
  test.each(subpaths)('%s can be required, and is what import gives', async subpath => {
    const name = subpath.replace('.', 'socketstream-server')
    const attributes = subpath.endsWith('.json') ? ", { with: { type: 'json' } }" : ''
    const same = await node(`
      const required = require('${name}')
      import('${name}'${attributes}).then(({ default: whole, 'module.exports': classic, ...named }) =>
        print(Object.keys(named).every(name => required[name] === named[name])))
    `)
    expect(same).toBe(true)
  })
})

describe('the tarball', () => {
  test('holds the build and the docs, and nothing besides', async () => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const { stdout } = await promisify(execFile)(npm, args, { cwd: root })
    const [packed] = JSON.parse(stdout) as { version: string; files: { path: string }[] }[]
    const paths = packed?.files.map(file => file.path) ?? []
    const exported = Object.values(manifest.exports).flatMap(files)
    const wanted = ['README.md', 'LICENSE', 'CHANGELOG.md', 'docs/protocol.md', ...exported]
    expect(wanted.filter(path => !paths.includes(path.replace('./', '')))).toEqual([])
    const besides = paths.filter(
      path => !/^(dist|docs)\/|^(README|CHANGELOG)\.md$|^LICENSE$|^package\.json$/.test(path),
    )
    expect(besides).toEqual([])
    expect(paths.filter(path => /\.test\.|(?<!\.d)\.ts$|tsbuildinfo/.test(path))).toEqual([])
  })

  test('knows its dependencies by version, not by where they were fetched', () => {
    const lock = readJson('package-lock.json') as { packages: Record<string, { resolved?: string }> }
    const resolved = Object.values(lock.packages).filter(entry => entry.resolved !== undefined)
    expect(resolved).toEqual([])
  })
})

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(root + path, 'utf8'))
}

function files(target: Target): string[] {
  return typeof target === 'string' ? [target] : Object.values(target).flatMap(files)
}

/** Runs CommonJS in a Node of its own, in the package; gives what it calls `print` with. */
async function node(code: string): Promise<unknown> {
  const script = `const print = value => console.log(JSON.stringify(value));${code}`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=commonjs', '-e', script], {
    cwd: root,
  })
  return JSON.parse(stdout)
}
