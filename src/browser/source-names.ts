import { isAbsolute, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the package. */
const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))
const NODE_MODULES = /^(.*[\\/])?node_modules[\\/]/

/**
 * The name of a source that tells nothing of the machine it is on.
 *
 * Files of packages are named from `node_modules`, those of the application from its root, others
 * by their own name alone.
 *
 * @param path absolute
 */
export function sourceName(path: string, root: string): string {
  const own = below(PACKAGE, path)
  if (own !== undefined && !NODE_MODULES.test(own)) return posix(`socketstream-server/${own}`)
  if (NODE_MODULES.test(path)) return posix(path.replace(NODE_MODULES, ''))
  return posix(below(root, path) ?? path.slice(path.lastIndexOf(sep) + 1))
}

/**
 * A source map with these names.
 *
 * @param folder that the sources are relative to
 */
export function portableMap(map: string, root: string, folder = root): string {
  const parsed = JSON.parse(map) as { sources: string[] }
  return JSON.stringify({
    ...parsed,
    sources: parsed.sources.map(source => sourceName(resolve(folder, source), root)),
  })
}

/** Code with these names in place of paths that lead out of the root, as comments have them. */
export function portableNames(code: string, paths: readonly string[], root: string): string {
  const outside = paths.filter(path => path.startsWith('..') || isAbsolute(path))
  return outside.reduce(
    (text, path) => text.replaceAll(path, () => sourceName(resolve(root, path), root)),
    code,
  )
}

function below(folder: string, path: string): string | undefined {
  const from = relative(folder, path)
  return from === '' || from.startsWith('..') || isAbsolute(from) ? undefined : from
}

function posix(path: string): string {
  return path.split(sep).join('/')
}
