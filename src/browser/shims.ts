import type { Plugin } from 'esbuild'

/** Modules of Node that halves written for bundlers of their time ask for, and the packages that are them. */
export const SHIMS: Readonly<Record<string, string>> = { events: 'events', stream: 'readable-stream' }

/** Tells its own look-ups from those of halves. */
const OWN = { ofShims: true }
const SHIM = 'node-shim'

/**
 * Gives client halves `events` and `stream`, from packages of the application or beside this one.
 *
 * @param modules folder of this package
 */
export function shims(modules: string): Plugin {
  return {
    name: 'node-shims',
    setup({ onResolve, onLoad, resolve }) {
      onResolve({ filter: /^(node:)?(events|stream)$/ }, async ({ path, resolveDir, kind, pluginData }) => {
        if (pluginData === OWN) return undefined
        const name = path.replace('node:', '')
        for (const from of [resolveDir, modules]) {
          const found = await resolve(SHIMS[name]!, { kind, resolveDir: from, pluginData: OWN })
          if (found.errors.length > 0) continue
          return name === 'stream' ? { path: found.path, namespace: SHIM } : { path: found.path }
        }
        return { errors: [{ text: `Could not resolve "${name}"` }] }
      })
      // Node's module is the old `Stream`, with the classes on it; the package is `Readable`.
      onLoad({ filter: /.*/, namespace: SHIM }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(path)}).Stream`,
        resolveDir: modules,
      }))
    },
  }
}
