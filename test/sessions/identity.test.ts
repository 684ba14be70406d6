import { sign } from 'cookie-signature'
import { describe, expect, test } from 'vitest'
import { SessionIdentity } from '../../src/sessions/identity.js'

const identity = new SessionIdentity({ secrets: ['new', 'old'], name: 'sid' })

describe('an identity', () => {
  test.each(['new', 'old'])('is read of a cookie signed with the secret "%s"', secret => {
    const value = `s:${sign('abc', secret)}`
    expect(identity.fromCookie(`other=1; sid=${encodeURIComponent(value)}`)).toBe('abc')
    expect(identity.fromValue(value)).toBe('abc')
    expect(identity.fromHello({ auth: { session: value }, session: undefined })).toBe('abc')
  })

  test.each([
    ['nothing', undefined],
    ['a bare id', 'sid=abc'],
    ['a bare id with the prefix', 'sid=s:abc'],
    ['another secret', `sid=s:${sign('abc', 'other')}`],
    ['no prefix', `sid=${sign('abc', 'new')}`],
    ['another name', `xsid=s:${sign('abc', 'new')}`],
    ['a token', `sid=${identity.token('abc')}`],
  ])('is not read of a cookie with %s', (_what, header) => {
    expect(identity.fromCookie(header)).toBeUndefined()
  })

  test('is read of a token, which is no cookie and signed with the first secret', () => {
    const token = identity.token('abc')
    expect(identity.fromToken(token)).toBe('abc')
    expect(identity.fromValue(token)).toBeUndefined()
    expect(identity.fromToken(`t:${sign('abc', 'new')}`)).toBeUndefined()
    const later = new SessionIdentity({ secrets: ['newest', 'new'], name: 'sid' })
    expect(later.fromToken(token)).toBe('abc')
    expect(new SessionIdentity({ secrets: ['old'], name: 'sid' }).fromToken(token)).toBeUndefined()
  })

  test.each([null, 1, 's:abc', { session: 1 }, { session: ['s:abc'] }, {}])(
    'is not read of a hello with %j',
    auth => {
      expect(identity.fromHello({ auth, session: undefined })).toBeUndefined()
    },
  )
})
