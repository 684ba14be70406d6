import { builtinModules } from 'node:module'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The entries for browsers, each with the most bytes that it may take: minified and gzipped, as sent. */
const entries: [entry: string, limit: number][] = [
  ['src/client/json.ts', 5000],
  ['src/client/index.ts', 11_000],
]

/** Bundles an entry as `scripts/build.js` does, in memory. */
async function bundle(entry: string) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outdir: 'dist',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  return { code: outputFiles[0]!.contents, metafile }
}

describe.each(entries)('the bundle of %s', (entry, limit) => {
  it(`takes ${limit} bytes at the most`, async () => {
    const { code } = await bundle(entry)
    const size = gzipSync(code, { level: 9 }).length
    console.info(`${entry}: ${size} bytes of ${limit}`)
    expect(size).toBeLessThanOrEqual(limit)
  })

  it('has nothing from Node, no XState and no ws in it', async () => {
    const { metafile } = await bundle(entry)
    const imports = Object.values(metafile.inputs).flatMap(input => input.imports.map(({ path }) => path))
    const fromNode = (path: string) => path.startsWith('node:') || builtinModules.includes(path)
    expect(imports.filter(fromNode)).toEqual([])
    expect(Object.keys(metafile.inputs).filter(path => /node_modules\/(xstate|ws)\//.test(path))).toEqual([])
    expect(Object.values(metafile.outputs).flatMap(output => output.imports)).toEqual([])
  })
})
