import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rpc } from '../../src/services/rpc/index.js'
import { TestBroker } from './support.js'

const root = join(import.meta.dirname, 'fixtures')
const service = new TestBroker(rpc(), 'rpc', root)
const value = async (...message: unknown[]) => {
  const outcome = await service.call(message).done
  if (outcome.kind === 'reply') return outcome.value
  throw outcome.kind === 'error' ? outcome.error : new Error(outcome.kind)
}

describe('a folder of actions', () => {
  it('serves CommonJS and ES modules, and folders as namespaces', async () => {
    expect(await value('demo.square', 7)).toBe(49)
    expect(await value('standard.ping')).toBe('pong')
    expect(await value('admin.rooms.list')).toEqual(['lobby'])
    expect(await value('admin.users.list', 1)).toEqual([1, 'first', 'second'])
  })

  it('is found by name, or by `dir` from the root', () => {
    const named = new TestBroker(rpc({ dir: 'services/rpc/admin' }), 'other', root)
    expect(named.call(['rooms.list']).outcome).toMatchObject({ value: ['lobby'] })
    const absolute = new TestBroker(rpc({ dir: join(root, 'services/rpc') }), 'other', '/nowhere')
    expect(absolute.call(['demo.square', 2]).outcome).toMatchObject({ value: 4 })
  })

  it('answers one value as it is, several as an array, none as null', async () => {
    expect(await value('demo.pair', 1, 2)).toEqual([1, 2])
    expect(await value('demo.nothing')).toBeNull()
    expect(await value('demo.absent')).toBeNull()
  })

  it('answers with errors: given to `res`, thrown, rejected, not sendable', async () => {
    await expect(value('demo.error')).rejects.toThrow('Out of seats')
    await expect(value('demo.throws')).rejects.toThrow('Thrown')
    await expect(value('demo.rejects')).rejects.toThrow('Rejected')
    await expect(value('demo.unsendable')).rejects.toMatchObject({ code: 'UNENCODABLE' })
  })

  it('gives actions the request and the services', async () => {
    const who = ['demo.who', 'c0', 'c0', '127.0.0.1', 'memory', 'session-of-c0']
    expect(await value('demo.who')).toEqual(who)
    expect(await value('demo.what')).toEqual(['call', 'rpc', 10, ['demo.what'], 1, 'c0'])
    service.api.chat = {}
    expect(await value('demo.services')).toEqual(['rpc', 'chat'])
  })

  it('runs middleware first, which may answer, fail or throw', async () => {
    await expect(value('demo.refusable', 'refused')).rejects.toThrow('Not you')
    expect(await value('demo.refusable', 'welcome')).toBe('reached')
    await expect(value('admin.users.list', 'fail')).rejects.toThrow('Refused by middleware')
    await expect(value('admin.rooms.list', 'throw')).rejects.toThrow('Middleware threw')
    await expect(value('admin.rooms.list', 'name')).rejects.toThrow('req.use() takes a function')
  })

  it.each([
    'demo',
    'demo.',
    '.square',
    'square',
    'demo.nope',
    'demo.constant',
    'demo._hidden',
    'demo.toString',
    'demo.constructor',
    'demo.__proto__',
    'nope.square',
    'admin.list',
    'notes.x',
    '.hidden.x',
    '__proto__.x',
  ])('has no method %j', async method => {
    await expect(value(method)).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
  })
})

describe('a folder that is at fault', () => {
  const load = (dir: string) => () => new TestBroker(rpc({ dir }), 'rpc', root)

  it.each([
    ['broken-export', 'empty.mjs must export a function'],
    ['broken-await', 'late.mjs does not load'],
    ['broken-throw', 'thrower.cjs does not load: a string'],
    ['reserved', '_private.cjs'],
    ['dotted', 'a.b.cjs'],
    ['duplicate', "two files for 'twice'"],
    ['nowhere', 'cannot be read'],
  ])('%s: the error says where', (dir, message) => {
    expect(load(dir)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(load(dir)).toThrow(message)
  })

  it('tells a syntax error with the name of the file', () => {
    const dir = mkdtempSync(join(tmpdir(), 'rpc-'))
    try {
      writeFileSync(join(dir, 'broken.cjs'), 'exports.actions = () => {')
      expect(load(dir)).toThrow('broken.cjs does not load')
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})
