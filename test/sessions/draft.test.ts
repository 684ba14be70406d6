import session from 'express-session'
import { describe, expect, test } from 'vitest'
import { type DraftSource, SessionDraft } from '../../src/sessions/draft.js'
import { merged, type SessionChanges, type StoredSession } from '../../src/sessions/session.js'

const COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }

/** What a session actor does, at once; keeps what was committed. */
class Source implements DraftSource {
  readonly id = 'abc'
  data: StoredSession
  readonly commits: Record<string, unknown>[] = []
  failure: Error | undefined
  destroyed = false

  constructor(data: object = {}) {
    this.data = { cookie: COOKIE, ...data }
  }

  async commit(changes: SessionChanges): Promise<void> {
    await this.#answer()
    this.commits.push(Object.fromEntries(changes))
    this.data = merged(this.data, changes)
  }

  async reload(): Promise<void> {
    await this.#answer()
  }

  async destroy(): Promise<void> {
    await this.#answer()
    this.destroyed = true
  }

  async regenerate(): Promise<{ source: Source; code: string }> {
    await this.#answer()
    return { source: this.next, code: 'code' }
  }

  readonly next = undefined as unknown as Source

  async #answer(): Promise<void> {
    if (this.failure) throw this.failure
  }
}

function draftOf(data: object = {}) {
  const source = new Source(data)
  const draft = new SessionDraft(source)
  return { source, draft, session: draft.session }
}

describe('a draft', () => {
  test('is a session of express-session with its cookie, id and methods', () => {
    const { session: draft } = draftOf({ user: 'ann' })
    expect(draft).toBeInstanceOf(session.Session)
    expect(draft.cookie).toBeInstanceOf(session.Cookie)
    expect(draft.id).toBe('abc')
    expect('id' in draft).toBe(true)
    expect('user' in draft).toBe(true)
    expect('nothing' in draft).toBe(false)
    for (const method of ['save', 'reload', 'destroy', 'regenerate', 'touch', 'resetMaxAge'])
      expect(draft[method]).toBeTypeOf('function')
  })

  test('shows its keys to Object.keys, spread, JSON and a structured clone of its values', () => {
    const { session } = draftOf({ user: 'ann', cart: [1] })
    session.theme = 'dark'
    delete session.user
    expect(Object.keys(session).sort()).toEqual(['cart', 'cookie', 'theme'])
    expect({ ...session }).toMatchObject({ cart: [1], theme: 'dark' })
    expect(JSON.parse(JSON.stringify(session))).toMatchObject({ cart: [1], theme: 'dark' })
    expect(structuredClone({ ...session })).toMatchObject({ cart: [1], theme: 'dark' })
    expect(Object.entries(Object.getOwnPropertyDescriptors(session)).length).toBe(3)
  })

  test('has nothing to commit when it was only read', () => {
    const { draft, session } = draftOf({ user: { name: 'ann' }, cart: [{ n: 1 }] })
    expect([session.user, session.cart, session.cookie, session.nothing].length).toBe(4)
    expect(draft.commit()).toBeUndefined()
  })

  test('commits what was set, changed in place and deleted, by top-level keys', async () => {
    const { draft, session, source } = draftOf({ user: 'ann', cart: [{ n: 1 }], old: true, kept: 1 })
    session.theme = 'dark'
    ;(session.cart as { n: number }[])[0]!.n = 2
    delete session.old
    session.user = undefined
    await draft.commit()
    expect(source.commits).toEqual([{ old: undefined, cart: [{ n: 2 }], theme: 'dark', user: undefined }])
    expect(draft.commit()).toBeUndefined()
    expect(Object.keys(source.data).sort()).toEqual(['cart', 'cookie', 'kept', 'theme'])
  })

  test('does not change what the source has', () => {
    const { session, source } = draftOf({ cart: [1] })
    ;(session.cart as number[]).push(2)
    expect(source.data.cart).toEqual([1])
  })

  test('still notices changes of an object that was read before a save', async () => {
    const { draft, session, source } = draftOf({ cart: [1] })
    const cart = session.cart as number[]
    cart.push(2)
    await session.save()
    cart.push(3)
    await draft.commit()
    expect(source.data.cart).toEqual([1, 2, 3])
  })

  test('keeps what was changed while a commit was under way', async () => {
    const { draft, session, source } = draftOf()
    session.a = 1
    const first = draft.commit()
    session.a = 2
    session.b = 1
    await first
    await draft.commit()
    expect(source.commits).toEqual([{ a: 1 }, { a: 2, b: 1 }])
  })

  test('keeps its changes when a commit fails', async () => {
    const { draft, session, source } = draftOf({ user: 'ann' })
    session.a = 1
    delete session.user
    source.failure = new Error('down')
    await expect(draft.commit()).rejects.toThrow('down')
    source.failure = undefined
    await draft.commit()
    expect(source.commits).toEqual([{ a: 1, user: undefined }])
  })

  test('takes over what others have changed, and keeps what it has changed itself', () => {
    const { draft, session, source } = draftOf({ a: [1], b: [1] })
    ;(session.a as number[]).push(2)
    expect(session.b).toEqual([1])
    source.data = { ...source.data, a: [7], b: [8], c: 9 }
    draft.rebase()
    expect(session).toMatchObject({ a: [1, 2], b: [8], c: 9 })
  })

  test.each([
    ['a big integer', 1n],
    ['a circle', Object.assign([], { 0: undefined })],
  ])('refuses %s with UNENCODABLE, and loses nothing', async (what, value) => {
    const { draft, session, source } = draftOf()
    if (what === 'a circle') (value as unknown[])[0] = value
    session.good = 1
    session.bad = value
    expect(() => draft.commit()).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }))
    await expect(session.save()).rejects.toMatchObject({ code: 'UNENCODABLE' })
    expect(() => draft.rebase()).not.toThrow()
    delete session.bad
    await draft.commit()
    expect(source.commits).toEqual([{ good: 1 }])
  })

  test.each(['__proto__', 'constructor', 'toString', 'save', 'touch', 'id', 'req'])(
    'refuses the key %s, which express-session would drop',
    key => {
      const { session } = draftOf()
      expect(() => {
        session[key] = { admin: true }
      }).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }))
      expect((session as { admin?: boolean }).admin).toBeUndefined()
      expect(({} as { admin?: boolean }).admin).toBeUndefined()
    },
  )

  test('shows nothing that is stored under such keys', () => {
    const data = JSON.parse('{"__proto__": {"admin": true}, "save": "no", "constructor": 1, "id": "other"}')
    const { session } = draftOf(data)
    expect(session.admin).toBeUndefined()
    expect(session.save).toBeTypeOf('function')
    expect(session.id).toBe('abc')
    expect(Object.keys(session)).toEqual(['cookie'])
  })

  test('cannot be frozen, nor given properties that a store does not keep, and stays usable', async () => {
    const { draft, session, source } = draftOf({ user: 'ann' })
    expect(() => Object.freeze(session)).toThrow(TypeError)
    expect(() => Object.preventExtensions(session)).toThrow(TypeError)
    expect(() => Object.setPrototypeOf(session, null)).toThrow(TypeError)
    expect(() => Object.defineProperty(session, 'a', { get: () => 1 })).toThrow(TypeError)
    expect(() => Object.defineProperty(session, 'a', { value: 1, configurable: false })).toThrow(TypeError)
    Object.defineProperty(session, 'a', { value: 1 })
    expect(Object.keys(session).sort()).toEqual(['a', 'cookie', 'user'])
    await draft.commit()
    expect(source.commits).toEqual([{ a: 1 }])
  })

  test('keeps its cookie', () => {
    const { session } = draftOf()
    expect(() => delete session.cookie).toThrow(TypeError)
    expect(() => {
      session.cookie = undefined
    }).toThrow(TypeError)
  })

  test('commits a cookie whose time to live was changed, and no other', async () => {
    const cookie = { ...COOKIE, originalMaxAge: 1000, expires: new Date(Date.now() + 1000).toISOString() }
    const { draft, session, source } = draftOf({ cookie })
    ;(session as unknown as session.Session).touch()
    expect(draft.commit()).toBeUndefined()
    ;(session.cookie as session.Cookie).maxAge = 60_000
    await draft.commit()
    const { originalMaxAge } = source.data.cookie as { originalMaxAge: number }
    expect(Math.abs(originalMaxAge - 60_000)).toBeLessThan(1000)
  })

  test('has methods that work when taken out, with a callback or a promise', async () => {
    const { session, source } = draftOf()
    const { save, reload, destroy } = session
    session.a = 1
    await new Promise<void>((resolve, reject) => {
      expect(save(error => (error ? reject(error) : resolve()))).toBe(session)
    })
    expect(source.commits).toEqual([{ a: 1 }])
    session.a = 2
    await reload()
    expect(session.a).toBe(1)
    await destroy()
    expect(source.destroyed).toBe(true)
  })

  test('waits at its commit for what nobody has awaited', async () => {
    const { draft, session, source } = draftOf()
    session.a = 1
    void session.save()
    session.b = 2
    await draft.commit()
    expect(source.commits).toEqual([{ a: 1 }, { b: 2 }])
    source.failure = new Error('down')
    void session.destroy()
    await expect(draft.commit()).rejects.toThrow('down')
  })

  test('goes on as it was when its destroy has failed, and commits nothing once it has succeeded', async () => {
    const { draft, session, source } = draftOf()
    source.failure = new Error('down')
    await expect(session.destroy()).rejects.toThrow('down')
    source.failure = undefined
    session.a = 1
    await draft.commit()
    expect(source.commits).toEqual([{ a: 1 }])
    await session.destroy()
    session.a = 2
    expect(draft.commit()).toBeUndefined()
  })

  test('is empty and of another id once it was regenerated', async () => {
    const { draft, session, source } = draftOf({ user: 'ann' })
    const next = Object.assign(new Source(), { id: 'next' })
    Object.assign(source, { next })
    session.lost = 1
    expect(await session.regenerate()).toBe('code')
    expect(session.id).toBe('next')
    expect(Object.keys(session)).toEqual(['cookie'])
    session.user = 'bob'
    await draft.commit()
    expect(source.commits).toEqual([])
    expect(next.commits).toEqual([{ user: 'bob' }])
  })
})
