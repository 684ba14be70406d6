import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { codecs, readBytes } from './samples.js'

/**
 * The public vectors of `msgpack-test-suite`, read by both of our readers.
 *
 * Two rules of ours differ from plain msgpack: 64-bit integers are bigints, and of the extensions only
 * timestamps and sets are taken. A timestamp keeps milliseconds.
 */
interface Vector {
  readonly msgpack: readonly string[]
  readonly number?: number
  readonly bignum?: string
  readonly timestamp?: readonly [seconds: number, nanoseconds: number]
  readonly ext?: readonly [type: number, hex: string]
  readonly binary?: string
}

const suite = createRequire(import.meta.url)('msgpack-test-suite') as Record<string, readonly Vector[]>
const TIME_LIMIT = 8.64e12
const bytesOf = (dashed: string) => Buffer.from(dashed.replaceAll('-', ''), 'hex')

/** What a vector's encoding is for us; REFUSED where it is nothing that we agree on. */
const REFUSED = Symbol('refused')
function expected(vector: Vector, encoding: string): unknown {
  if (vector.ext !== undefined) return REFUSED
  if (vector.timestamp !== undefined) {
    const [seconds, nanoseconds] = vector.timestamp
    if (Math.abs(seconds) > TIME_LIMIT) return REFUSED
    return new Date(seconds * 1000 + Math.floor(nanoseconds / 1e6))
  }
  if (/^(cf|d3)/.test(encoding)) return BigInt(vector.bignum ?? vector.number ?? 0)
  if (vector.binary !== undefined) return new Uint8Array(bytesOf(vector.binary))
  const { msgpack: _encodings, bignum, ...rest } = vector
  const [value] = Object.values(rest)
  return value ?? (bignum === undefined ? value : Number(bignum))
}

const cases = Object.entries(suite).flatMap(([file, vectors]) =>
  vectors.flatMap(vector =>
    vector.msgpack.map(encoding => [`${file} ${encoding.slice(0, 40)}`, vector, encoding] as const),
  ),
)

describe.each(['msgpack', 'portable'] as const)('%s reads the public vector', name => {
  it.each(cases)('%s', (_name, vector, encoding) => {
    const value = expected(vector, encoding)
    const read = () => readBytes(codecs[name], bytesOf(encoding))
    if (value === REFUSED) expect(read).toThrow(expect.objectContaining({ code: 'BAD_FRAME' }))
    else expect(read()).toEqual(value)
  })
})

it('there are as many of them as the suite has', () => {
  expect(Object.keys(suite)).toHaveLength(15)
  expect(cases.length).toBeGreaterThan(200)
})
