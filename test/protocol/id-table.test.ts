import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IdTable } from '../../src/protocol/id-table.js'

describe('an id table', () => {
  test('holds what a map would hold, whatever comes and goes', () => {
    const step = fc.tuple(fc.constantFrom('add', 'add', 'delete', 'get'), fc.nat(200))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), steps => {
        const table = new IdTable<string>()
        const model = new Map<number, string>()
        for (const [what, n] of steps) {
          const id = n * 2 + 1
          if (what === 'add' && !model.has(id)) {
            table.add(id, `item ${id}`)
            model.set(id, `item ${id}`)
          } else if (what === 'delete') expect(table.delete(id)).toBe(model.delete(id))
          else expect(table.get(id)).toBe(model.get(id))
          expect(table.size).toBe(model.size)
        }
        expect(new Map(table.entries())).toEqual(model)
      }),
    )
  })

  test('keeps an old id while millions pass by', () => {
    const table = new IdTable<string>()
    table.add(1, 'old')
    for (let id = 3; id < 100_000; id += 2) {
      table.add(id, 'new')
      expect(table.delete(id)).toBe(true)
    }
    expect(table.get(1)).toBe('old')
    expect(table.entries()).toEqual([[1, 'old']])
  })
})
