import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, extname, join } from 'node:path'
import { transform } from 'esbuild'
import { blocksOf, readPage, root } from './markdown.js'

/** The port in the pages, which is replaced by a free one. */
const PORT = /\b3001\b/g
/** Milliseconds that a server may take to listen, and a client to end. */
const DEADLINE = 15_000

/** Programs that belong together: the files of one folder in a page. */
export interface Program {
  /** The folder in the page; `.` for files without one. */
  readonly name: string
  readonly folder: string
  readonly port: number
  /** What the client should print, by the comments behind its `console.log`s. */
  readonly expected: readonly string[]
  readonly server: string | undefined
  readonly client: string | undefined
}

/** The whole files of some pages, as in a project that has the package installed. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'docs-'))
  /** TypeScript files, for the compiler. */
  readonly sources: string[] = []

  constructor() {
    const modules = join(this.folder, 'node_modules')
    mkdirSync(modules)
    symlinkSync(root, join(modules, 'socketstream-server'), 'junction')
    for (const name of ['@types', 'express', 'express-session', 'jose', 'vitest', 'ws', 'xstate', 'zod']) {
      symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
    }
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module" }')
  }

  /** Writes the whole files of a page; gives the programs among them. */
  async write(page: string): Promise<Program[]> {
    const folder = join(this.folder, page.replaceAll(/\W/g, '-'))
    const files = blocksOf(readPage(page)).flatMap(({ file, code }) => (file ? [{ file, code }] : []))
    const ports = new Map<string, number>()
    for (const { file, code } of files) {
      const path = join(folder, file)
      const place = dirname(file)
      if (!ports.has(place)) ports.set(place, await freePort())
      const text = code.replaceAll(PORT, `${ports.get(place)}`)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
      if (extname(file) !== '.ts') continue
      this.sources.push(path)
      const { code: script } = await transform(text, { loader: 'ts', format: 'esm', target: 'node20' })
      writeFileSync(path.replace(/ts$/, 'js'), script.replaceAll(/(from ["']\.[^"']+)\.ts(["'])/g, '$1.js$2'))
    }
    return [...ports].flatMap(([name, port]) => {
      const find = (what: string) =>
        files.find(({ file }) => join(name, basename(file)) === file && basename(file).startsWith(`${what}.`))
      const [server, client] = [find('server'), find('client')]
      if (client === undefined) return []
      const script = (file: string | undefined) => file?.replace(/ts$/, 'js')
      const expected = [...client.code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text = '']) => text)
      return [{ name, folder, port, expected, server: script(server?.file), client: script(client.file) }]
    })
  }

  /** Runs a program: the server if there is one, then the client to its end; gives what that printed. */
  async run({ folder, server, client }: Program): Promise<string[]> {
    const serving = server === undefined ? undefined : await serve(folder, server)
    try {
      const { printed, code, errors } = await ended(start(folder, client!))
      if (code !== 0) throw new Error(`${client} ended with ${code}: ${errors}`)
      return printed.split('\n').slice(0, -1)
    } finally {
      if (serving?.exitCode === null) {
        serving.kill('SIGKILL')
        await once(serving, 'exit')
      }
    }
  }

  /** Compiles all TypeScript files without writing anything; gives the complaints. */
  async complaints(compiler: string): Promise<string> {
    const tsc = join(dirname(createRequire(import.meta.url).resolve(`${compiler}/package.json`)), 'bin/tsc')
    const options = {
      module: 'nodenext',
      target: 'es2022',
      lib: 'es2023,dom',
      types: 'node',
      strict: 'true',
      noEmit: 'true',
      skipLibCheck: 'true',
      allowImportingTsExtensions: 'true',
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
    const { printed, errors } = await ended(start(this.folder, tsc, [...args, ...this.sources]))
    return printed + errors
  }

  remove(): void {
    for (const name of readdirSync(join(this.folder, 'node_modules'))) {
      rmSync(join(this.folder, 'node_modules', name))
    }
    rmSync(this.folder, { recursive: true })
  }
}

function start(cwd: string, script: string, args: readonly string[] = []): ChildProcess {
  const env = { ...process.env, NODE_ENV: 'production' }
  const limit = { timeout: 4 * DEADLINE, killSignal: 'SIGKILL' } as const
  return spawn(process.execPath, [script, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], ...limit })
}

async function ended(child: ChildProcess) {
  let printed = ''
  let errors = ''
  child.stdout?.setEncoding('utf8').on('data', text => (printed += text))
  child.stderr?.setEncoding('utf8').on('data', text => (errors += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { printed, errors, code }
}

/** Starts a server of the docs; resolves once it listens. */
async function serve(cwd: string, script: string): Promise<ChildProcess> {
  const announce = new URL('announce-listening.mjs', import.meta.url).href
  const env = { ...process.env, NODE_ENV: 'production' }
  const server = spawn(process.execPath, ['--import', announce, script], {
    cwd,
    env,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let errors = ''
  server.stderr?.setEncoding('utf8').on('data', text => (errors += text))
  const ended = once(server, 'exit').then(() => {
    throw new Error(`The server does not listen: ${errors}`)
  })
  await Promise.race([once(server, 'message'), ended])
  ended.catch(() => {})
  return server
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
