import { describe, expect, test } from 'vitest'
import { fromPromise } from 'xstate'
import { machine } from '../../src/services/machine/index.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { order } from './machine-support.js'

describe('the options of a machine service', () => {
  const right = { events: ['place'], authorize: () => true } as const

  test.each<[string, unknown, unknown]>([
    ['XState logic', { initial: 'x' }, right],
    ['options are needed', order, undefined],
    ["'event'", order, { ...right, event: ['place'] }],
    ['`events`', order, { ...right, events: undefined }],
    ['`events`', order, { ...right, events: 'place' }],
    ['`events`', order, { ...right, events: [1] }],
    ['`events`', order, { ...right, events: ['xstate.stop'] }],
    ['`events`', order, { ...right, events: ['*'] }],
    ['`authorize`', order, { events: [] }],
    ['`key`', order, { ...right, key: 'a' }],
    ['`input`', order, { ...right, input: {} }],
    ['`persist`', order, { ...right, persist: 'yes' }],
    ['`persist`', order, { ...right, persist: null }],
    ['`persist.key`', order, { ...right, persist: { key: 'x' } }],
    ['`persist.every`', order, { ...right, persist: { every: 0 } }],
    ['`project`', order, { ...right, project: 'value' }],
    ['`idle`', order, { ...right, idle: -1 }],
    ['`idle`', order, { ...right, idle: Number.POSITIVE_INFINITY }],
    ['`keys`', order, { ...right, keys: 0 }],
    ['`limit`', order, { ...right, limit: 1.5 }],
  ])('are checked at once: %s', (what, logic, options) => {
    const make = () => machine(logic as typeof order, options as never)
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(make).toThrow(what)
  })

  test('may be few, for logic that is no machine', async () => {
    const definition: ServiceDefinition = machine(
      fromPromise(async () => 7),
      { events: [], authorize: () => true, project: ({ output }) => ({ output: output ?? null }) },
    )
    expect(definition.type).toBe('machine')
  })
})
