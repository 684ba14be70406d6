import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sign } from 'cookie-signature'
import { afterEach, describe, expect, test } from 'vitest'
import { OneTimeCodes } from '../../src/sessions/codes.js'
import { SessionIdentity } from '../../src/sessions/identity.js'
import { redeemHandler } from '../../src/sessions/redeem.js'
import type { StoredSession } from '../../src/sessions/session.js'

const identity = new SessionIdentity({ secrets: ['secret'], name: 'connect.sid' })
const session: StoredSession = { cookie: { originalMaxAge: null, path: '/', httpOnly: true } }
const cookieOf = (id: string) => `connect.sid=${encodeURIComponent(`s:${sign(id, 'secret')}`)}`
const closing: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A page's request with a code for `new` in the place of `old`. */
async function start(read: (id: string) => Promise<StoredSession | undefined> = async () => session) {
  const codes = new OneTimeCodes()
  const replaced: string[] = []
  let over!: () => void
  const handler = redeemHandler({ codes, identity, read, replaced: id => void replaced.push(id) })
  const server = createServer((request, response) => {
    response.once('close', () => setImmediate(over))
    handler(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise(resolve => server.close(() => resolve())))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const post = async (body: unknown, headers: Record<string, string> = {}, method = 'POST') => {
    const done = new Promise<void>(resolve => {
      over = resolve
    })
    const response = await fetch(url, {
      method,
      headers: { connection: 'close', 'sec-fetch-site': 'same-origin', ...headers },
      ...(method === 'POST' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    await response.arrayBuffer()
    await done
    return response
  }
  const issue = () => codes.issue({ from: ['older', 'old'], to: 'new' })
  return { codes, replaced, post, issue, url }
}

describe('a code', () => {
  test('gives the page the cookie of the new session, once, and ends those before', async () => {
    const { post, issue, replaced } = await start()
    const code = issue()
    const response = await post({ code }, { cookie: cookieOf('old') })
    expect(response.status).toBe(204)
    expect(response.headers.get('set-cookie')).toBe(`${cookieOf('new')}; Path=/; HttpOnly`)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(replaced).toEqual(['older', 'old'])
    expect((await post({ code }, { cookie: cookieOf('old') })).status).toBe(410)
    expect(replaced.length).toBe(2)
  })

  test.each([
    ['the cookie of another session', { cookie: cookieOf('stranger') }, 403],
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a page of the same site, but not the origin', { 'sec-fetch-site': 'same-site' }, 403],
    ['no cookie', {}, 204],
    ['the cookie of the first of several', { cookie: cookieOf('older') }, 204],
  ])('with %s is answered accordingly', async (_what, headers, status) => {
    const { post, issue, replaced } = await start()
    const response = await post({ code: issue() }, headers as Record<string, string>)
    expect(response.status).toBe(status)
    expect(replaced.length).toBe(status === 204 ? 2 : 0)
  })

  test('is refused in what is no such request', async () => {
    const { post, issue } = await start()
    expect((await post(undefined, {}, 'GET')).status).toBe(405)
    for (const body of ['', '{', 'null', '{"code":1}', { code: 'unknown' }])
      expect((await post(body)).status).toBe(410)
    expect((await post({ code: issue(), more: 'x'.repeat(2000) })).status).toBe(413)
  })

  test('of a session that is over is void, and one whose store fails is answered 503', async () => {
    const over = await start(async () => undefined)
    expect((await over.post({ code: over.issue() })).status).toBe(410)
    const failing = await start(async () => {
      throw new Error('down')
    })
    const response = await failing.post({ code: failing.issue() })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(failing.replaced).toEqual([])
  })

  test('is void after a minute, and the oldest of more than 10,000', () => {
    const codes = new OneTimeCodes()
    const what = { from: ['old'], to: 'new' }
    const code = codes.issue(what, 0)
    expect(codes.redeem(code, 60_000)).toBeUndefined()
    const first = codes.issue(what, 0)
    const second = codes.issue(what, 0)
    for (let at = 0; at < 9_999; at++) codes.issue(what, 1)
    expect(codes.redeem(first, 1)).toBeUndefined()
    expect(codes.redeem(second, 1)).toEqual(what)
  })
})
