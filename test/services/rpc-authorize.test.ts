import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { type RpcRules, rpc } from '../../src/services/rpc/index.js'
import { TestBroker } from './support.js'

const handlers = {
  add: (_ctx: unknown, a: number, b: number) => a + b,
  admin: { stop: () => 'stopped', users: { list: () => ['bob'] } },
}
const yes = () => true
const no = () => false

/** What a call comes to: its value, or the code of its error. */
async function outcome(broker: TestBroker, ...message: unknown[]): Promise<unknown> {
  const end = await broker.call(message).done
  if (end.kind === 'reply') return end.value
  if (end.kind !== 'error') return end.kind
  return end.error instanceof SocketStreamError ? end.error.code : 'a failure'
}
const under = (authorize: RpcRules, ...message: unknown[]) =>
  outcome(new TestBroker(rpc(handlers, { authorize } as never)), ...message)

describe('the rules of an rpc service', () => {
  it('decide by the longest name that fits', async () => {
    const rules = { '*': no, add: yes, 'admin.*': no, 'admin.users.*': yes }
    expect(await under(rules, 'add', 1, 2)).toBe(3)
    expect(await under(rules, 'admin.stop')).toBe('FORBIDDEN')
    expect(await under(rules, 'admin.users.list')).toEqual(['bob'])
    expect(await under({ 'admin.stop': yes, 'admin.*': no }, 'admin.stop')).toBe('stopped')
    expect(await under({ '*': yes, 'admin.*': no }, 'admin.users.list')).toBe('FORBIDDEN')
  })

  it('refuse what none of them is for', async () => {
    expect(await under({ add: yes }, 'admin.stop')).toBe('FORBIDDEN')
    expect(await under({}, 'add', 1, 2)).toBe('FORBIDDEN')
  })

  it('tell nobody whether there is a method that may not be called', async () => {
    expect(await under({ add: yes }, 'nothing')).toBe('FORBIDDEN')
    expect(await under({ '*': yes }, 'nothing')).toBe('UNKNOWN_METHOD')
  })

  it('let pass for true only', async () => {
    for (const verdict of [1, 'yes', {}, undefined, null, Promise.resolve(1)]) {
      expect(await under((() => verdict) as never, 'add', 1, 2)).toBe('FORBIDDEN')
    }
    expect(await under(async () => true, 'add', 1, 2)).toBe(3)
  })

  it('answer with what they throw, at once or later, and the failures of others stay failures', async () => {
    const coded = () => {
      throw new SocketStreamError<string>('LOG_IN', 'Log in first')
    }
    expect(await under(coded, 'add', 1, 2)).toBe('LOG_IN')
    expect(await under(async () => coded(), 'add', 1, 2)).toBe('LOG_IN')
    expect(await under(() => Promise.reject(new Error('no')), 'add', 1, 2)).toBe('a failure')
  })

  it('get the request and the arguments', async () => {
    const seen: unknown[] = []
    const rule = (...given: unknown[]) => seen.push(...given) > 0
    const broker = new TestBroker(rpc(handlers, { authorize: { add: rule } }))
    const request = broker.request(['add', 1, 2])
    await broker.dispatch(request).done
    expect(seen).toEqual([request, 1, 2])
  })

  it('hold for a folder of files too', async () => {
    const root = join(import.meta.dirname, 'fixtures')
    const service = rpc({ dir: 'services/rpc', authorize: { 'demo.*': yes } })
    const broker = new TestBroker(service, 'rpc', root)
    expect(await outcome(broker, 'demo.square', 7)).toBe(49)
    expect(await outcome(broker, 'admin.rooms.list')).toBe('FORBIDDEN')
  })

  it('do not run a handler whose caller has gone while they waited', async () => {
    let ran = false
    let decide = (_allowed: boolean): void => undefined
    const verdict = new Promise<boolean>(resolve => {
      decide = resolve
    })
    const table = {
      run() {
        ran = true
      },
    }
    const responder = new TestBroker(rpc(table, { authorize: () => verdict })).call(['run'])
    responder.cancel()
    decide(true)
    await verdict
    await Promise.resolve()
    expect(ran).toBe(false)
  })

  it('refuse whatever else a client sends for a name', () => {
    const calls = { run: 0 }
    const broker = new TestBroker(rpc({ own: () => void calls.run++ }, { authorize: { own: no } }))
    const name = fc.oneof(fc.string(), fc.constantFrom('own', '*', 'own.*', '__proto__', 'constructor', '.'))
    fc.assert(
      fc.property(name, method => {
        expect(broker.call([method]).outcome).toMatchObject({ kind: 'error', error: { code: 'FORBIDDEN' } })
      }),
    )
    expect(calls.run).toBe(0)
  })

  it.each([
    [{ nothing: yes }, "names 'nothing'"],
    [{ 'nothing.*': yes }, "names 'nothing.*'"],
    [{ 'ad.*': yes }, "names 'ad.*'"],
    [{ admin: yes }, "names 'admin'"],
    [{ add: true }, "of 'add' must be a function"],
    [[yes], 'must be a function, or functions by method'],
    ['yes', 'must be a function, or functions by method'],
  ])('%o are refused when the service is made', (authorize, message) => {
    expect(() => rpc(handlers, { authorize } as never)).toThrow(message)
  })

  it('are checked against the methods that there are', () => {
    rpc(handlers, {
      authorize: { add: yes, 'admin.*': yes, 'admin.stop': yes, 'admin.users.list': yes, '*': no },
    })
    expect(() => rpc(handlers, { authorize: { sub: yes } })).toThrow('sub')
    // @ts-expect-error a rule says true or false
    rpc(handlers, { authorize: { add: () => 'yes' } })
  })
})
