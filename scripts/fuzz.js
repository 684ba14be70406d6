/**
 * Fuzzes every way in: `npm run fuzz -- --inputs 1000000 [--seed 7] [--only frames]`.
 *
 * The inputs and what must hold are those of the tests, in `test/fuzz`; they are bundled, as Node reads no TypeScript.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
// Within the package, so that what it imports is found.
const outfile = `${root}/node_modules/.cache/fuzz-${process.pid}.mjs`
await build({
  entryPoints: [`${root}/test/fuzz/run.ts`],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'warning',
})
const child = spawn(process.execPath, ['--enable-source-maps', outfile, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
child.once('close', code => {
  rmSync(outfile, { force: true })
  process.exitCode = code ?? 1
})
