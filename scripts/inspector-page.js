/**
 * Builds the inspector's page: a script, one for its charts, a style sheet, and nothing from elsewhere.
 *
 * What its bundle is made of is licensed under terms that ask to be passed on: they lie beside it.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const PAGE = 'src/inspector/page'
const LICENSE = /^licen[cs]e(\.md|\.txt)?$/i

/**
 * @param {string} root of the package
 * @param {string} out where it goes, such as `dist/inspector`
 */
export async function buildInspectorPage(root, out) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { page: `${PAGE}/main.tsx`, charts: `${PAGE}/charts.ts` },
    // Loaded by the page when it draws the first chart.
    external: ['./charts.js'],
    outdir: out,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  })
  await build({
    absWorkingDir: root,
    entryPoints: { page: `${PAGE}/page.css` },
    outdir: out,
    bundle: true,
    minify: true,
    logLevel: 'warning',
  })
  mkdirSync(out, { recursive: true })
  copyFileSync(join(root, PAGE, 'index.html'), join(out, 'index.html'))
  writeFileSync(join(out, 'LICENSES.txt'), licenses(root, packagesOf(Object.keys(metafile.inputs))))
}

/** The packages that files are from. @param {readonly string[]} files */
function packagesOf(files) {
  const found = files.map(file => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
  return [...new Set(found.filter(name => name !== undefined))].sort()
}

/**
 * The licences of packages, each with its name and version.
 *
 * @param {string} root
 * @param {readonly string[]} names
 */
function licenses(root, names) {
  const texts = names.map(name => {
    const folder = join(root, 'node_modules', name)
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const file = existsSync(folder) && readdirSync(folder).find(entry => LICENSE.test(entry))
    if (!file) throw new Error(`${name} has no licence file: the page's bundle cannot be shipped with it`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  })
  return `page.js and charts.js contain the following packages.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
}
