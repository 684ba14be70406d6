import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../../src/actors/broker.js'
import { blocksOf, pages, quoted, readPage, root, tableRows } from './markdown.js'
import { Project } from './programs.js'

const docs = pages().filter(page => page !== 'README.md')
/** Pages for those who write clients, and services of other kinds: they open with something else. */
const WITHOUT_PROGRAM = ['docs/protocol.md', 'docs/architecture.md', 'docs/scaling.md', 'docs/performance.md']
const project = new Project()
afterAll(() => project.remove())

const programs = (
  await Promise.all(docs.map(async page => (await project.write(page)).map(program => ({ page, program }))))
).flat()

describe('the examples of the docs', () => {
  test.each(programs)('$page, $program.name do what they say', async ({ program }) => {
    expect(program.expected).not.toEqual([])
    expect(await project.run(program)).toEqual(program.expected)
  })

  test('compile', { timeout: 60_000 }, async () => {
    expect(await project.complaints('typescript-5.6')).toBe('')
  })

  test.each(docs.filter(page => !WITHOUT_PROGRAM.includes(page)))('open %s', page => {
    expect(blocksOf(readPage(page))[0]?.file).toBeDefined()
  })
})

describe('the docs', () => {
  test.each(docs)('%s has links that lead somewhere', page => {
    const text = readPage(page)
    const broken = [...text.matchAll(/\]\((?!https?:)([^)]+)\)/g)]
      .map(([, link = '']) => link)
      .filter(link => !leadsSomewhere(page, link))
    expect(broken).toEqual([])
  })

  test('of the server have every limit with its default', () => {
    const rows = tableRows(readPage('docs/server.md'), 'Limits').slice(1)
    const listed = rows.map(([name, value = '']) => [quoted(name), Number(value.replaceAll(',', ''))])
    expect(Object.fromEntries(listed)).toEqual(DEFAULT_LIMITS)
  })
})

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(root, target))) return false
  if (anchor === undefined) return true
  const headings = [...readPage(target).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
  return headings.includes(anchor)
}
