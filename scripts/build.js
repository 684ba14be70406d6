/**
 * Builds the package: `dist/` from `src/` with declarations, and the browser bundles.
 *
 * The two bundles are whole clients for a page without a bundler: `client.js` speaks msgpack,
 * `client.json.js` JSON. Modules, minified, with source maps.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

if (isStale()) {
  rmSync(dist, { recursive: true, force: true })
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  await build({
    absWorkingDir: root,
    entryPoints: { client: 'src/client/index.ts', 'client.json': 'src/client/json.ts' },
    outdir: 'dist/browser',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    logLevel: 'warning',
  })
}

/** Whether a source is newer than the last bundle. */
function isStale() {
  const last = join(dist, 'browser/client.json.js')
  if (!existsSync(last)) return true
  const built = statSync(last).mtimeMs
  const inputs = ['src', 'scripts/build.js', 'tsconfig.json', 'tsconfig.build.json', 'package.json']
  return inputs.some(input => newest(join(root, input)) > built)
}

/** @param {string} path @returns {number} the latest modification below it */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map(name => newest(join(path, name))))
}
