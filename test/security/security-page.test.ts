import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { quoted, tableRows } from '../docs/markdown.js'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'SECURITY.md'), 'utf8')
const rows = tableRows(page, 'What is defended, and what shows it').slice(1)

describe('SECURITY.md', () => {
  test.each(rows)('on "%s" names a test that there is', (_threat, defence = '', named = '') => {
    const [, file = '', name = ''] = /^(`[^`]+`): (.+)$/.exec(named) ?? []
    expect(defence).not.toBe('')
    expect(name).not.toBe('')
    const path = join(root, quoted(file) ?? '')
    expect(existsSync(path), file).toBe(true)
    // A name in quotes of any kind, or the beginning of one.
    const names = [...readFileSync(path, 'utf8').matchAll(/(['"`])((?:(?!\1)[^\\\n]|\\.)*)\1/g)]
    expect(names.map(([, , text = '']) => text).filter(text => text.includes(name))).not.toEqual([])
  })

  test('has a row for each threat that it sets out to cover', () => {
    expect(rows.length).toBeGreaterThan(35)
    expect(new Set(rows.map(([threat]) => threat)).size).toBe(rows.length)
  })

  test('has the audit of dependencies among the checks', () => {
    expect(readFileSync(join(root, '.ci/run'), 'utf8')).toMatch(/^check audit audit$/m)
    expect(readFileSync(join(root, '.ci/run'), 'utf8')).toContain('npm audit --omit=dev')
  })

  test('says where to report to, and names no place but the repository', () => {
    expect(page).toContain('Report a vulnerability')
    expect(page).not.toMatch(/@|https?:/)
  })
})
