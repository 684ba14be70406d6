import { isNativeAccelerationEnabled } from 'msgpackr'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { agreed, codecs, send } from './samples.js'

// msgpackr looks at this when it is first loaded: it must be set before the imports above are
vi.hoisted(() => {
  process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED = 'true'
})

beforeAll(() => {
  delete process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED
})

describe('msgpackr without its native part', () => {
  it('is what is tested here', () => {
    expect(isNativeAccelerationEnabled).toBe(false)
  })

  it.each(agreed)('%s arrives', (_, value, ...arrives) => {
    const expected = arrives.length === 0 ? value : arrives[0]
    expect(send(codecs.msgpack, codecs.msgpack, value)).toStrictEqual(expected)
  })
})
