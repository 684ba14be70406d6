import { builtinModules } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { BuildFailure, BuildOptions, BuildResult, Message, Plugin } from 'esbuild'
import { SocketStreamError } from '../errors.js'
import { entrySource, HALF_PREFIX } from './entry.js'
import type { ClientPlan, PlannedService } from './plan.js'
import { SHIMS, shims } from './shims.js'
import { portableMap, portableNames } from './source-names.js'

/** A bundled module. */
export interface Bundled {
  readonly code: string
  readonly map: string
}

/** The modules of the package: `src` in development, `dist` otherwise. */
const MODULES = fileURLToPath(new URL('../', import.meta.url))
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

type Build = (options: BuildOptions) => Promise<BuildResult>

/**
 * Bundles a client by esbuild.
 *
 * @param root folder of the application; names in the source map are seen from there
 * @throws SocketStreamError `PACKAGE_MISSING` or `BUILD_FAILED`
 */
export async function bundleClient(plan: ClientPlan, root: string): Promise<Bundled> {
  const build = await loadEsbuild()
  const options = buildOptions(plan, root)
  try {
    const { outputFiles = [], metafile } = await build(options)
    const [code, map] = ['.js', '.map'].map(end => outputFiles.find(({ path }) => path.endsWith(end))?.text)
    return {
      code: portableNames(code!, Object.keys(metafile?.inputs ?? {}), root),
      map: portableMap(map!, root),
    }
  } catch (error) {
    throw await explain(error, plan, options, build)
  }
}

async function loadEsbuild(): Promise<Build> {
  try {
    return (await import('esbuild')).build
  } catch (cause) {
    throw missing('esbuild', 'this client has to be built', cause)
  }
}

function buildOptions({ services, minify, ...plan }: ClientPlan, root: string): BuildOptions {
  return {
    stdin: {
      contents: entrySource({ services, minify, ...plan }, EXTENSION),
      resolveDir: MODULES,
      sourcefile: 'socketstream-client.js',
      loader: 'js',
    },
    absWorkingDir: root,
    outfile: 'client.js',
    write: false,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    minify,
    sourcemap: 'external',
    legalComments: 'none',
    charset: 'utf8',
    // Packages written for Node and bundlers ask for these two.
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    metafile: true,
    logLevel: 'silent',
    plugins: [halves(services), shims(MODULES)],
  }
}

/** Finds the halves that the entry imports by the names of their services. */
function halves(services: readonly PlannedService[]): Plugin {
  return {
    name: 'client-halves',
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`^${HALF_PREFIX}`) }, ({ path }) => {
        const file = services.find(({ name }) => HALF_PREFIX + name === path)?.half?.file
        return file === undefined ? undefined : { path: file }
      })
    },
  }
}

/** Says what a failed build needs; finds out whose half it is by building each alone. */
async function explain(
  error: unknown,
  plan: ClientPlan,
  options: BuildOptions,
  build: Build,
): Promise<SocketStreamError> {
  const messages = messagesOf(error)
  const unresolved = messages.map(unresolvedOf)
  const needed = plan.transports.find(({ needs }) => needs !== undefined && unresolved.includes(needs))
  if (needed?.needs !== undefined) {
    return missing(needed.needs, `the transport ${needed.name} needs it in browsers`, error)
  }
  const shimmed = unresolved.find(name => name !== undefined && Object.hasOwn(SHIMS, name))
  if (shimmed !== undefined) {
    return missing(SHIMS[shimmed]!, `a client half imports "${shimmed}"`, error)
  }
  const culprit = await firstThatFails(plan, options, build)
  const where = culprit === undefined ? '' : ` because of service "${culprit}"`
  const builtin = unresolved.find(name => name !== undefined && isBuiltin(name))
  if (builtin !== undefined) {
    return failed(
      `The client cannot be built${where}: a client half imports "${builtin}", which only Node has; keep that in the server half`,
      error,
    )
  }
  const reason = messages[0]?.text ?? (error instanceof Error ? error.message : String(error))
  return failed(`The client cannot be built${where}: ${reason}`, error)
}

async function firstThatFails(
  { services }: ClientPlan,
  options: BuildOptions,
  build: Build,
): Promise<string | undefined> {
  for (const { name, half } of services) {
    if (half === undefined) continue
    const contents = `export { ${half.name} } from ${JSON.stringify(HALF_PREFIX + name)}`
    try {
      await build({ ...options, stdin: { ...options.stdin, contents } })
    } catch {
      return name
    }
  }
  return undefined
}

function messagesOf(error: unknown): readonly Message[] {
  const { errors } = error as Partial<BuildFailure>
  return Array.isArray(errors) ? errors : []
}

function unresolvedOf({ text }: Message): string | undefined {
  return /^Could not resolve "([^"]+)"/.exec(text)?.[1]
}

function isBuiltin(name: string): boolean {
  return name.startsWith('node:') || builtinModules.includes(name)
}

function missing(name: string, why: string, cause: unknown): SocketStreamError {
  return new SocketStreamError(
    'PACKAGE_MISSING',
    `The package ${name} is not installed: ${why}. Run: npm install ${name}`,
    { cause },
  )
}

function failed(message: string, cause: unknown): SocketStreamError {
  return new SocketStreamError('BUILD_FAILED', message, { cause })
}
