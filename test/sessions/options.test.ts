import { describe, expect, test } from 'vitest'
import { cacheBounds, type SessionOptions, sessionSettings } from '../../src/sessions/options.js'

const settings = (options: unknown = {}) => sessionSettings(options as SessionOptions, () => 'random')
const refused = (message: string) =>
  expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) })

describe('the options of sessions', () => {
  test('have defaults', () => {
    expect(settings()).toMatchObject({
      secrets: ['random'],
      name: 'connect.sid',
      cookie: {},
      rolling: false,
      saveUninitialized: false,
      recheck: 60_000,
      timeout: 10_000,
    })
  })

  test('may be the object that express-session is given', () => {
    const options = { secret: ['a', 'b'], resave: false, proxy: true, unset: 'keep', genid: () => 'x' }
    expect(settings(options).secrets).toEqual(['a', 'b'])
  })

  test.each([
    [null, '`sessions` must be an object'],
    [{ secrets: 'a' }, 'no option `sessions.secrets`'],
    [{ secret: '' }, '`sessions.secret`'],
    [{ secret: [] }, '`sessions.secret`'],
    [{ secret: ['a', ''] }, '`sessions.secret`'],
    [{ name: 'a b' }, '`sessions.name`'],
    [{ cookie: null }, '`sessions.cookie`'],
    [{ rolling: 1 }, '`sessions.rolling`'],
    [{ saveUninitialized: 'no' }, '`sessions.saveUninitialized`'],
    [{ recheck: -1 }, '`sessions.recheck`'],
    [{ recheck: 2 ** 31 }, '`sessions.recheck`'],
    [{ timeout: 0 }, '`sessions.timeout`'],
    [{ userOf: 'id' }, '`sessions.userOf`'],
  ])('such as %j are refused with what is wrong', (options, message) => {
    expect(() => settings(options)).toThrow(refused(message))
  })

  test.each([
    [{ user: { id: 7 } }, '7'],
    [{ user: 'ann' }, 'ann'],
    [{ userId: 0 }, '0'],
    [{ passport: { user: 'bob' } }, 'bob'],
    [{ user: {}, passport: null }, undefined],
    [{}, undefined],
  ])('find the user of %j', (data, user) => {
    expect(settings().userOf({ cookie: {}, ...data })).toBe(user)
  })
})

describe('the option cacheSessions', () => {
  test('is on, off or bounds', () => {
    expect(cacheBounds(true)).toEqual({ max: 10_000, maxBytes: 64 * 1024 * 1024 })
    expect(cacheBounds(false)).toBe(false)
    expect(cacheBounds({ max: 5 })).toMatchObject({ max: 5 })
  })

  test.each([null, 'yes', 1, { max: 0 }, { max: 1.5 }, { maxBytes: -1 }, { max: '5' }])(
    'is not %j',
    given => {
      expect(() => cacheBounds(given as never)).toThrow(refused('`cacheSessions`'))
    },
  )
})
