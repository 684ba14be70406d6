import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blocksOf, readPage, root } from './markdown.js'
import { type Program, Project } from './programs.js'

const page = readPage('README.md')
const project = new Project()
let programs: Program[] = []

beforeAll(async () => {
  programs = await project.write('README.md')
})
afterAll(() => project.remove())

describe('the README', () => {
  test('opens with a runnable example', () => {
    const [server, client] = blocksOf(page)
    expect([server?.file, client?.file]).toEqual(['server.ts', 'client.ts'])
  })

  test.each(['.', 'classic'])('has programs in %s that do what they say', async name => {
    const program = programs.find(program => program.name === name)!
    expect(program.expected).not.toEqual([])
    expect(await project.run(program)).toEqual(program.expected)
  })

  test.each(['typescript-5.6', 'typescript'])('compiles with %s', { timeout: 60_000 }, async compiler => {
    expect(await project.complaints(compiler)).toBe('')
  })

  test('has commands that there are, and links that lead somewhere', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: object }
    for (const [, name = ''] of page.matchAll(/npm (?:run )?(start|benchmarks)/g)) {
      expect(scripts).toHaveProperty(name)
    }
    const links = [...page.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path]) => path)
    expect(links.filter(path => !existsSync(`${root}${path}`))).toEqual([])
  })

  test('has only blocks that are run, and commands', () => {
    expect(blocksOf(page).filter(({ file, language }) => file === undefined && language !== 'sh')).toEqual([])
  })
})
