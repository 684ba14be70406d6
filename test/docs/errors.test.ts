import { expect, test } from 'vitest'
import { CLOSE_CODES, ERROR_CODES, mayReconnect } from '../../src/errors.js'
import { quoted, readPage, tableRows } from './markdown.js'

const page = readPage('docs/errors.md')

test('the page of errors has every code, in the words of the catalogue', () => {
  const rows = tableRows(page, 'Codes').slice(1)
  expect(Object.fromEntries(rows.map(([code, meaning]) => [quoted(code), meaning]))).toEqual(ERROR_CODES)
})

test('the page of errors has every close code, and whether a client may come back', () => {
  const rows = tableRows(page, 'Close codes').slice(1)
  expect(rows.map(([code, name, again]) => [Number(code), quoted(name), again])).toEqual(
    Object.entries(CLOSE_CODES).map(([name, code]) => [code, name, mayReconnect(code) ? 'yes' : 'no']),
  )
})

test('both pages give the same reasons for closing', () => {
  const reasons = (text: string, heading: string) =>
    tableRows(text, heading).map(([code, name, again]) => [code, name, again])
  expect(reasons(page, 'Close codes')).toEqual(reasons(readPage('docs/protocol.md'), 'Closing'))
})

test('standard codes that mean no are those that the pages name', () => {
  const final = Array.from({ length: 20 }, (_, i) => 1000 + i).filter(code => !mayReconnect(code))
  expect(final).toEqual([1000, 1002, 1003, 1007, 1008, 1009, 1010])
})
