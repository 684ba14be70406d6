import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Transport } from '../transports/transport.js'
import { type NamedService, readPrebuilt } from './assets.js'
import { type Bundled, bundleClient } from './bundle.js'
import { declarations } from './declarations.js'
import { type ClientBuildOptions, type ClientPlan, planClient } from './plan.js'
import { portableMap } from './source-names.js'

/** A client for browsers. */
export interface ClientBundle {
  /** An ES module that imports nothing. */
  readonly code: string
  /** Its source map; the code has no comment that names it. */
  readonly map: string
  /** Its TypeScript declarations, which import those of `socketstream-server`. */
  readonly types: string
}

/** The server, as far as its client is made of it. */
export interface BrowserSource {
  /** Folder of the application. */
  readonly root: string
  readonly transports: readonly Transport[]
  readonly services: readonly NamedService[]
}

/** What the first line of a built client begins with; see `scripts/build.js`. */
const PATH_LINE = 'const PATH='

/**
 * Makes the client of a server: one module with its transports, codec and services.
 *
 * Without esbuild only the plain client can be had: WebSockets, minified, with the built-in services.
 *
 * @throws SocketStreamError `INVALID_OPTION`, `SERVICE_HALF_MISSING`, `PACKAGE_MISSING`, `BUILD_FAILED`
 */
export async function buildClient(
  { root, transports, services }: BrowserSource,
  options: ClientBuildOptions = {},
): Promise<ClientBundle> {
  const plan = planClient(transports, services, options)
  const { code, map } =
    (isPlain(plan) ? await plainClient(plan, root) : undefined) ?? (await bundleClient(plan, root))
  return { code, map, types: declarations(plan) }
}

function isPlain({ transports, services, minify }: ClientPlan): boolean {
  return (
    minify &&
    transports.length === 1 &&
    transports[0]?.name === 'ws' &&
    services.every(({ half }) => half === undefined)
  )
}

/** The client that the package was built with; undefined where it has not been built. */
async function plainClient({ codec, transports }: ClientPlan, root: string): Promise<Bundled | undefined> {
  const name = codec === 'json' ? 'client.json.js' : 'client.js'
  try {
    const [code, map] = await Promise.all([readPrebuilt(name), readPrebuilt(`${name}.map`)])
    // The first line says the path; the map has nothing on it.
    if (!code.startsWith(PATH_LINE)) return undefined
    const path = `${PATH_LINE}${JSON.stringify(transports[0]?.path)};`
    const folder = dirname(fileURLToPath(new URL('../../dist/browser/client.js', import.meta.url)))
    return {
      code: code.replace(/^.*/, () => path).replace(/^\/\/# sourceMappingURL=.*\n?/m, ''),
      map: portableMap(map, root, folder),
    }
  } catch {
    return undefined
  }
}
