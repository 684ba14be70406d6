import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ActorRef, Behaviour, OnCrash, Overflow, SpawnOptions } from '../../src/actors/runtime/index.js'
import { createSystem } from './support.js'

/** A message that is told once, by one sender, in order. */
interface Numbered {
  readonly id: number
  readonly sender: string
  readonly act: 'fine' | 'crash' | 'wait' | 'stop' | 'drain' | 'pass on'
  /** The actor that `pass on` tells. */
  readonly next: number
}

interface Incarnation {
  readonly number: number
  ended: boolean
}

const at = fc.nat(30)
const act = fc.constantFrom('fine', 'fine', 'crash', 'wait', 'stop', 'drain', 'pass on')
const step = fc.oneof(
  fc.record({
    do: fc.constant('spawn' as const),
    at,
    onCrash: fc.constantFrom<OnCrash>('resume', 'restart', 'stop', 'escalate'),
    mailbox: fc.constantFrom('keep' as const, 'drop' as const),
    overflow: fc.constantFrom<Overflow>('reject', 'drop-oldest', 'latest-by-key', 'backpressure'),
    capacity: fc.integer({ min: 0, max: 4 }),
    concurrency: fc.integer({ min: 1, max: 2 }),
    delay: fc.constantFrom(0, 50),
  }),
  fc.record({
    do: fc.constant('tell' as const),
    messages: fc.array(fc.record({ at, act, next: at }), { minLength: 1, maxLength: 8 }),
  }),
  fc.record({ do: fc.constant('stop' as const), at, drain: fc.boolean() }),
  fc.record({ do: fc.constant('settle' as const), rejects: fc.boolean() }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 500 }) }),
)

const MEANT = new Set(['as told', 'late'])

test('whatever crashes, stops and is sent: messages are handled once, in order, or counted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const { system, crashes, clock, inOneTurn } = createSystem()
      const refs: ActorRef<Numbered>[] = []
      const promised: { ok(): void; fail(): void }[] = []
      const handled = new Set<number>()
      const refused = new Set<number>()
      const dead = new Set<number>()
      const lastOf = new Map<string, number>()
      let told = 0
      let incarnations = 0
      system.deadLetters.subscribe((_letter, message) => {
        const { id } = message as Numbered
        expect(handled.has(id) || dead.has(id)).toBe(false)
        dead.add(id)
      })

      const any = (index: number): ActorRef<Numbered> | undefined => refs[index % Math.max(refs.length, 1)]
      const tell = (index: number, sender: string, act: Numbered['act'], next: number): void => {
        const target = any(index)
        if (target === undefined) return
        const message = { id: ++told, sender, act, next }
        if (!target.tell(message) && !dead.has(message.id)) refused.add(message.id)
      }
      const behaviour = (name: string, ordered: boolean): Behaviour<Numbered, Incarnation> => ({
        initial: () => ({ number: ++incarnations, ended: false }),
        receive(incarnation, { id, sender, act, next }, self) {
          expect(incarnation.ended).toBe(false)
          expect(handled.has(id) || dead.has(id) || refused.has(id)).toBe(false)
          handled.add(id)
          const pair = `${sender} ${self.path}`
          // The latest takes the place of an earlier one.
          if (ordered) expect(id).toBeGreaterThan(lastOf.get(pair) ?? 0)
          lastOf.set(pair, id)
          if (act === 'crash') throw new Error('as told')
          if (act === 'stop') self.stop()
          if (act === 'drain') self.stop({ drain: true })
          if (act === 'pass on') for (let i = 0; i < 3; i++) tell(next, name, 'fine', next)
          return act === 'wait' ? promise() : undefined
        },
        stopped(incarnation) {
          expect(incarnation.ended).toBe(false)
          incarnation.ended = true
        },
      })
      /** A promise that is settled by a step, at once. */
      const promise = (): PromiseLike<void> => {
        const settled = new Promise<void>(() => {})
        return Object.assign(settled, {
          // biome-ignore lint/suspicious/noThenProperty: it stands for a promise
          then(ok: () => void, fail: (error: unknown) => void) {
            promised.push({ ok, fail: () => fail(new Error('late')) })
          },
        })
      }

      steps.forEach((step, index) => {
        switch (step.do) {
          case 'spawn': {
            const { onCrash, mailbox, overflow, capacity, concurrency, delay } = step
            const options: SpawnOptions<Numbered> = {
              ...{ onCrash, overflow, capacity, concurrency, restart: { mailbox, delay, max: 2 } },
              key: ({ id }) => (overflow === 'latest-by-key' ? id % 2 : undefined),
            }
            const parent = any(step.at)
            const name = `a${index}`
            refs.push(
              (parent?.live ? parent : system.root).spawn(
                name,
                behaviour(name, overflow !== 'latest-by-key'),
                options,
              ),
            )
            break
          }
          case 'tell':
            inOneTurn(() => {
              for (const { at, act, next } of step.messages) tell(at, 'outside', act as Numbered['act'], next)
            })
            break
          case 'stop':
            any(step.at)?.stop({ drain: step.drain })
            break
          case 'settle':
            for (const { ok, fail } of promised.splice(0)) step.rejects ? fail() : ok()
            break
          case 'advance':
            clock.advance(step.ms)
        }
        expect(system.counters.actors).toBe(countBelow(system.root))
        // What is expected in a handler is seen here: the kit takes its failing for a crash.
        const unexpected = crashes.filter(({ error }) => !MEANT.has((error as Error).message))
        expect(unexpected).toEqual([])
      })

      system.stop()
      expect(system.counters.actors).toBe(0)
      expect(handled.size + dead.size + refused.size).toBe(told)
      expect(system.counters.deadLetters).toBe(dead.size)
      expect([system.timers.size, clock.timers]).toEqual([0, 0])
    }),
    { numRuns: 1000 },
  )
})

function countBelow(ref: ActorRef<never>): number {
  let count = 1
  for (const child of ref.children.values()) count += countBelow(child)
  return count
}
