import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder of the package. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** A fenced block of a page. */
export interface Block {
  /** The word after the fence: the language. */
  readonly language: string
  readonly code: string
  /** The file that its first line names, as in `// server.ts`; such a block is a whole file. */
  readonly file: string | undefined
  /** The line that the code begins at. */
  readonly line: number
}

/** Reads a page, by its path from the package's folder. */
export function readPage(path: string): string {
  return readFileSync(`${root}${path}`, 'utf8')
}

/** The pages whose whole files are run by tests. */
export function pages(): string[] {
  const docs = readdirSync(`${root}docs`).filter(name => name.endsWith('.md'))
  return ['README.md', ...docs.map(name => `docs/${name}`)]
}

/** The fenced blocks of a page. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  const fence = /^```([\w-]+)\n([\s\S]*?)^```$/gm
  for (const match of page.matchAll(fence)) {
    const [, language = '', code = ''] = match
    const file = /^(?:\/\/|#) ([\w./-]+\.(?:ts|js|cjs|mjs|html))\n/.exec(code)?.[1]
    blocks.push({ language, code, file, line: page.slice(0, match.index).split('\n').length + 1 })
  }
  return blocks
}

/** The rows of the tables under a heading, as cells without blanks around them. */
export function tableRows(page: string, heading: string): string[][] {
  const start = page.indexOf(`\n## ${heading}\n`)
  if (start < 0) throw new Error(`The page has no heading "${heading}"`)
  const end = page.indexOf('\n## ', start + 1)
  return page
    .slice(start, end < 0 ? undefined : end)
    .split('\n')
    .filter(line => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line))
    .map(line =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map(cell => cell.trim()),
    )
}

/** What stands between the backticks of a cell that has nothing else. */
export function quoted(cell: string | undefined): string | undefined {
  return /^`([^`]*)`$/.exec(cell ?? '')?.[1]
}
