import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ActorSystem, type Behaviour } from '../../src/actors/runtime/index.js'
import type { KeyValue } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { manualClock } from '../../src/testing/index.js'

type Op = { type: 'add'; id: number; reply(): void } | { type: 'fail' }

/** Collects the ids of what it was told; a set that is saved whole. */
const collector: Behaviour<Op, number[]> = {
  initial: () => [],
  receive(ids, op) {
    if (op.type === 'fail') {
      ids.push(-1)
      throw new Error('broken')
    }
    ids.push(op.id)
    op.reply()
  },
  snapshot: ids => [...ids],
  save: ids => ids,
  restore: saved => [...(saved as number[])],
}

/** A store that fails the writes whose turn it is; some of them take effect all the same. */
function unreliable(store: KeyValue, faults: readonly ('before' | 'after' | 'none')[]): KeyValue {
  let turn = 0
  return {
    get: key => store.get(key),
    delete: (key, options) => store.delete(key, options),
    keys: options => store.keys(options),
    async set(key, value, options) {
      const fault = faults[turn++ % faults.length]
      if (fault === 'before') throw new Error('before it was written')
      const version = await store.set(key, value, options)
      if (fault === 'after') throw new Error('after it was written')
      return version
    },
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant('add' as const) },
  fc.constant('fail' as const),
  fc.constant('stop' as const),
  fc.constant('replace system' as const),
)
const fault = fc.oneof(
  { weight: 4, arbitrary: fc.constant('none' as const) },
  fc.constant('before' as const),
  fc.constant('after' as const),
)

test('loses nothing that it has acknowledged, repeats nothing and keeps the order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.array(fault, { minLength: 1, maxLength: 8 }).filter(faults => faults.includes('none')),
      async (steps, faults) => {
        const { kv } = memory()
        const store = unreliable(kv!, faults)
        const clock = manualClock()
        const make = (): ActorSystem => new ActorSystem({ clock, store, random: () => 0 })
        const spawn = (system: ActorSystem) =>
          system.spawn('all', collector, { persist: {}, restart: { max: 1000, delay: 0 } })
        let system = make()
        let ref = spawn(system)
        const acknowledged: number[] = []
        const asked: Promise<unknown>[] = []
        let id = 0
        for (const what of steps) {
          if (what === 'fail') ref.tell({ type: 'fail' })
          else if (what === 'add') {
            const mine = id++
            const answer = ref.ask<void>(reply => ({ type: 'add', id: mine, reply }), { timeout: 60_000 })
            asked.push(answer.then(() => void acknowledged.push(mine)).catch(() => {}))
          } else if (what === 'stop') {
            ref.stop()
            ref = spawn(system)
          } else {
            await Promise.race([Promise.all(asked), system.saved()])
            system.stop()
            // As after a crash of the process, but for the saves that are on their way.
            await system.saved()
            system = make()
            ref = spawn(system)
          }
        }
        await Promise.all(asked)
        system.stop()
        await system.saved()
        const last = new ActorSystem({ clock, store: kv! }).spawn('all', collector, { persist: {} })
        const ids = await new Promise<number[]>(resolve => last.subscribe(view => resolve(view as number[])))
        expect(ids.filter(one => acknowledged.includes(one)).sort((a, b) => a - b)).toEqual(
          [...acknowledged].sort((a, b) => a - b),
        )
        expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
        expect(ids).not.toContain(-1)
      },
    ),
    { numRuns: 300 },
  )
}, 60_000)
