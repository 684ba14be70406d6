import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as kit from '../../src/transports/http-kit.js'
import { blocksOf, readPage, root } from '../docs/markdown.js'

const source = readFileSync(`${root}src/transports/sse.ts`, 'utf8')
const page = readPage('docs/transports.md')

test('the transport over SSE has fewer than 80 lines', () => {
  expect(source.trimEnd().split('\n').length).toBeLessThan(80)
})

test('the page that teaches it shows it as it is shipped', () => {
  const listing = blocksOf(page).find(({ file }) => file === 'own/sse.ts')?.code
  const shipped = source.replace("'./http-kit.js'", "'socketstream-server/transports/http'")
  expect(listing).toBe(`// own/sse.ts\n${shipped}`)
})

test('the transport over SSE stands on what others can have', () => {
  const imports = [...source.matchAll(/from '([^']+)'/g)].map(([, from]) => from)
  expect(imports).toEqual(['node:http', './http-kit.js'])
})

test('the page lists all of the kit', () => {
  const section = page.slice(page.indexOf('The kit, by name:'))
  expect(Object.keys(kit).filter(name => !section.includes(`\`${name}\``))).toEqual([])
})
