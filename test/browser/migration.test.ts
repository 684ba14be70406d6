import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { expect, test, vi } from 'vitest'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'
import { blocksOf, readPage, root } from '../docs/markdown.js'
import { folder, likeBrowser, load, serve } from './support.js'

const blocks = blocksOf(readPage('docs/browser.md'))

/** A page that resolves when its script has set the title. */
function page() {
  let done!: (title: string) => void
  const titled = new Promise<string>(resolve => {
    done = resolve
  })
  vi.stubGlobal('document', {
    set title(title: string) {
      done(title)
    },
  })
  return titled
}

function start() {
  likeBrowser()
  return serve(server => [ws({ server })], { rpc: rpc({ add: (_ctx, a: number, b: number) => a + b }) })
}

test('the page of the docs with a script tag does what it says', async () => {
  const { app, origin } = await start()
  const html = blocks.find(({ language }) => language === 'html')?.code ?? ''
  const script = /<script type="module">([\s\S]*)<\/script>/.exec(html)?.[1] ?? ''
  const lines = script.split('\n').filter(line => line.trim() !== '')
  expect(lines[0]).toBe("  import { createClient } from '/socketstream/client.js'")
  const titled = page()
  const { createClient } = await load((await app.buildClient()).code, origin)
  const run = Object.getPrototypeOf(async () => {}).constructor(
    'createClient',
    `${lines.slice(1).join('\n')}\nreturn client`,
  )
  const client = await run(createClient)
  expect(await titled).toBe('3')
  client.close()
})

test('the page of the docs with a bundler does what it says', async () => {
  const { origin } = await start()
  const source = blocks.find(({ file }) => file === 'page.ts')?.code ?? ''
  const project = folder({ 'page.ts': source.replace('ws://localhost:3001', origin.replace('http', 'ws')) })
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules', 'socketstream-server'), 'junction')
  // As the page tells esbuild to.
  const { outputFiles, metafile } = await build({
    absWorkingDir: project,
    entryPoints: ['page.ts'],
    bundle: true,
    format: 'esm',
    outfile: 'page.js',
    write: false,
    metafile: true,
  })
  const titled = page()
  await load(`${outputFiles[0]!.text}\nclient.close()`)
  expect(await titled).toBe('3')
  expect(Object.values(metafile.outputs).flatMap(({ imports }) => imports)).toEqual([])
})
