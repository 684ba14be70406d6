import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ActorRef, Behaviour, OnCrash, Overflow } from '../../src/actors/runtime/index.js'
import { createSystem } from './support.js'

/** A message that is told once, by one sender, in order. */
interface Numbered {
  readonly id: number
  readonly sender: string
  readonly act: Act
  /** The actor that `pass on` tells. */
  readonly next: number
}

type Act = 'fine' | 'crash' | 'wait' | 'stop' | 'drain' | 'pass on' | 'repeat'

/** The state of an actor between its beginning, or a restart, and its end, or the next restart. */
interface Incarnation {
  readonly path: string
  ended: boolean
}

/** How an actor is spawned. */
interface Plan {
  readonly onCrash: OnCrash
  readonly mailbox: 'keep' | 'drop'
  readonly overflow: Overflow
  readonly capacity: number
  readonly concurrency: number
  readonly delay: number
  /** Children that it spawns itself, each time it begins. */
  readonly children: number
  /** Whether it throws when it begins anew. */
  readonly unlucky: boolean
  /** Whether it throws when it ends. */
  readonly brittle: boolean
}

const at = fc.nat(30)
const act = fc.constantFrom<Act>('fine', 'fine', 'crash', 'wait', 'stop', 'drain', 'pass on', 'repeat')
const plan = fc.record<Plan>({
  onCrash: fc.constantFrom<OnCrash>('resume', 'restart', 'stop', 'escalate'),
  mailbox: fc.constantFrom('keep', 'drop'),
  overflow: fc.constantFrom<Overflow>('reject', 'drop-oldest', 'latest-by-key', 'backpressure'),
  capacity: fc.integer({ min: 0, max: 4 }),
  concurrency: fc.integer({ min: 1, max: 2 }),
  delay: fc.constantFrom(0, 50),
  children: fc.constantFrom(0, 0, 1, 2),
  unlucky: fc.constantFrom(false, false, true),
  brittle: fc.boolean(),
})
const step = fc.oneof(
  fc.record({ do: fc.constant('spawn' as const), at, plan }),
  fc.record({
    do: fc.constant('tell' as const),
    together: fc.boolean(),
    messages: fc.array(fc.record({ at, act, next: at }), { minLength: 1, maxLength: 8 }),
  }),
  fc.record({ do: fc.constant('stop' as const), at, drain: fc.boolean() }),
  fc.record({ do: fc.constant('settle' as const), rejects: fc.boolean() }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 500 }) }),
)

/** Crashes that are part of the plan. */
const MEANT = new Set(['as told', 'late', 'unlucky', 'brittle'])

test('whatever crashes, stops and is sent: messages are handled once, in order, or counted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const model = createModel()
      steps.forEach((step, index) => {
        if (step.do === 'spawn') model.spawn(model.any(step.at), `a${index}`, step.plan)
        else if (step.do === 'tell') model.tellAll(step.messages, step.together)
        else if (step.do === 'stop') model.any(step.at)?.stop({ drain: step.drain })
        else if (step.do === 'settle') model.settle(step.rejects)
        else model.clock.advance(step.ms)
        model.check()
      })
      model.end()
    }),
    { numRuns: 2000 },
  )
})

/** A system, and what its actors and their messages must have come to. */
function createModel() {
  const { system, crashes, clock, inOneTurn } = createSystem()
  const spawned: { readonly ref: ActorRef<Numbered>; readonly capacity: number }[] = []
  const promised: { ok(): void; fail(): void }[] = []
  const running = new Set<Incarnation>()
  const heard = { crashed: 0, restarted: 0, stopped: 0 }
  const handled = new Set<number>()
  const refused = new Set<number>()
  const dead = new Set<number>()
  const lastOf = new Map<string, number>()
  let told = 0
  let begun = 0

  system.deadLetters.subscribe((_letter, message) => {
    const { id } = message as Numbered
    expect(handled.has(id) || dead.has(id)).toBe(false)
    dead.add(id)
  })

  const any = (index: number): ActorRef<Numbered> | undefined =>
    spawned[index % Math.max(spawned.length, 1)]?.ref

  const tell = (target: ActorRef<Numbered> | undefined, sender: string, act: Act, next: number): void => {
    if (target === undefined) return
    const message = { id: ++told, sender, act, next }
    if (!target.tell(message) && !dead.has(message.id)) refused.add(message.id)
  }

  const spawn = (parent: ActorRef<Numbered> | undefined, name: string, plan: Plan): void => {
    const { onCrash, mailbox, overflow, capacity, concurrency, delay } = plan
    const ref = (parent?.live ? parent : system.root).spawn(name, behaviour(plan), {
      ...{ onCrash, overflow, capacity, concurrency, restart: { mailbox, delay, max: 2 } },
      // Without a key or a size, and not dropping, a message can be kept outside its mailbox.
      ...(overflow === 'latest-by-key' ? { key: ({ id }) => id % 2 } : {}),
    })
    spawned.push({ ref, capacity })
    system.watch(ref, ({ type }) => heard[type]++)
  }

  /** A promise that is settled by a step, at once. */
  const promise = (): PromiseLike<void> =>
    Object.assign(new Promise<void>(() => {}), {
      // biome-ignore lint/suspicious/noThenProperty: it stands for a promise
      then(ok: () => void, fail: (error: unknown) => void) {
        promised.push({ ok, fail: () => fail(new Error('late')) })
      },
    })

  function behaviour(plan: Plan): Behaviour<Numbered, Incarnation> {
    let beginnings = 0
    /** The last message before a restart without the mailbox. */
    let left = 0
    return {
      initial(self) {
        expect([...running].filter(({ path }) => path === self.path)).toEqual([])
        if (++beginnings > 1 && plan.unlucky) throw new Error('unlucky')
        const incarnation = { path: self.path, ended: false }
        running.add(incarnation)
        begun++
        for (let i = 0; i < plan.children; i++) spawn(self, `c${i}`, { ...plan, children: 0 })
        return incarnation
      },
      receive(incarnation, { id, sender, act, next }, self) {
        expect(incarnation.ended).toBe(false)
        expect(handled.has(id) || dead.has(id) || refused.has(id)).toBe(false)
        expect(id).toBeGreaterThan(left)
        handled.add(id)
        const pair = `${sender} ${self.path}`
        // The latest takes the place of an earlier one.
        if (plan.overflow !== 'latest-by-key') expect(id).toBeGreaterThan(lastOf.get(pair) ?? 0)
        lastOf.set(pair, id)
        if (act === 'stop') self.stop()
        if (act === 'drain') self.stop({ drain: true })
        if (act === 'pass on') for (let i = 0; i < 3; i++) tell(any(next), self.path, 'fine', next)
        if (act === 'repeat') for (const act of ['fine', 'crash'] as const) tell(self, self.path, act, next)
        if (act === 'crash' || act === 'repeat') throw new Error('as told')
        return act === 'wait' ? promise() : undefined
      },
      stopped(incarnation, self) {
        expect(incarnation.ended).toBe(false)
        incarnation.ended = true
        running.delete(incarnation)
        const below = [...running].filter(({ path }) => path.startsWith(`${self.path}/`))
        expect(below).toEqual([])
        if (plan.mailbox === 'drop') left = told
        if (plan.brittle) throw new Error('brittle')
      },
    }
  }

  /** What holds whenever nothing runs. */
  const check = (): void => {
    // What is expected in a handler is seen here: the kit takes its failing for a crash.
    expect(crashes.filter(({ error }) => !MEANT.has((error as Error).message))).toEqual([])
    const waiting = spawned.reduce((sum, { ref }) => sum + ref.depth, 0)
    expect(handled.size + dead.size + refused.size + waiting).toBe(told)
    expect(system.counters.deadLetters).toBe(dead.size)
    for (const { ref, capacity } of spawned) expect(ref.depth).toBeLessThanOrEqual(capacity)
    for (const { path } of running) expect(system.find(path)).toBeDefined()
    expect(new Set([...running].map(({ path }) => path)).size).toBe(running.size)
    expect(system.counters.actors).toBe(system.root.live ? countBelow(system.root) : 0)
  }

  return {
    any,
    spawn,
    clock,
    check,
    /** Tells all, within one turn so that messages wait, or in a turn each. */
    tellAll(messages: readonly { at: number; act: Act; next: number }[], together: boolean): void {
      const all = (): void => {
        for (const { at, act, next } of messages) tell(any(at), 'outside', act, next)
      }
      together ? inOneTurn(all) : all()
    },
    settle(rejects: boolean): void {
      for (const { ok, fail } of promised.splice(0)) rejects ? fail() : ok()
    },
    end(): void {
      expect(heard.restarted).toBe(begun - spawned.length)
      expect(heard.stopped).toBe(spawned.length - (system.counters.actors - 1))
      system.stop()
      check()
      expect(running.size).toBe(0)
      expect(handled.size + dead.size + refused.size).toBe(told)
      expect([system.timers.size, clock.timers]).toEqual([0, 0])
    },
  }
}

function countBelow(ref: ActorRef<never>): number {
  let count = 1
  for (const child of ref.children.values()) count += countBelow(child)
  return count
}
