/**
 * Builds the package: `dist/` from `src/` with declarations, and the browser bundles.
 *
 * The two bundles are whole clients for a page without a bundler: `client.js` speaks msgpack,
 * `client.json.js` JSON. Modules, minified, with source maps.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { buildInspectorPage } from './inspector-page.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
/** Its time is when the last build that succeeded began. */
const stamp = join(dist, '.built')

const started = new Date()

if (isStale()) {
  rmSync(dist, { recursive: true, force: true })
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  })
  // The compiler has said what is wrong; a stack of ours would only hide it.
  if (compiled.status !== 0) process.exit(compiled.status ?? 1)
  await build({
    absWorkingDir: root,
    entryPoints: { client: 'src/client/page.ts', 'client.json': 'src/client/page-json.ts' },
    // A line of its own: `buildClient()` puts another path in, and the source map stays right.
    banner: { js: 'const PATH="/";' },
    outdir: 'dist/browser',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    logLevel: 'warning',
  })
  await buildInspectorPage(root, join(dist, 'inspector'))
  // A source that changed during the build is newer than what was built from it.
  writeFileSync(stamp, '')
  utimesSync(stamp, started, started)
}

/** Whether a source is newer than the last build. */
function isStale() {
  if (!existsSync(stamp)) return true
  const built = statSync(stamp).mtimeMs
  const inputs = [
    'src',
    'scripts/build.js',
    'scripts/inspector-page.js',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
  ]
  return inputs.some(input => newest(join(root, input)) > built)
}

/** @param {string} path @returns {number} the latest modification below it */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map(name => newest(join(path, name))))
}
