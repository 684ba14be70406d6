import { expect, test } from 'vitest'
import { chooseEncoding } from '../../src/browser/accept-encoding.js'

test.each([
  [undefined, 'identity'],
  ['', 'identity'],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['GZIP, BR', 'br'],
  ['gzip, deflate, br, zstd', 'br'],
  ['br;q=0.8, gzip', 'gzip'],
  ['br;q=0.5,gzip;q=0.5', 'br'],
  ['br;q=0', 'identity'],
  ['br ; q=0.1', 'br'],
  ['*', 'br'],
  ['*;q=0.5, br;q=0', 'gzip'],
  ['*;q=0', 'identity'],
  ['identity;q=0', 'identity'],
  ['identity, gzip;q=0.5', 'identity'],
  ['identity;q=0.5, gzip;q=0.5', 'gzip'],
  ['deflate', 'identity'],
  ['br;q=2, gzip;q=nothing', 'identity'],
  ['br;q=-1', 'identity'],
  [',,;q=1,', 'identity'],
])('Accept-Encoding: %s is answered with %s', (header, encoding) => {
  expect(chooseEncoding(header)).toBe(encoding)
})
