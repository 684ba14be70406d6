import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Runs a program of the tests, bundled, as Node reads no TypeScript; resolves to its exit code.
 *
 * @param {string} entry path from the root
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
export async function runBundled(entry, args) {
  // Within the package, so that what it imports is found.
  const outfile = `${root}/node_modules/.cache/${basename(entry, '.ts')}-${process.pid}.mjs`
  await build({
    entryPoints: [`${root}/${entry}`],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'warning',
  })
  const child = spawn(process.execPath, ['--enable-source-maps', outfile, ...args], { stdio: 'inherit' })
  return new Promise(resolve => {
    child.once('close', code => {
      rmSync(outfile, { force: true })
      resolve(code ?? 1)
    })
  })
}
