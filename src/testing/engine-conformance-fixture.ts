import type { Engine } from '../engines/engine.js'
import { codeOf, deferred, failure, type TestRunner } from './transport-fixture.js'

/** An engine under test. */
export interface EngineSubject {
  /** Fresh and empty; the suite closes it. */
  readonly engine: Engine
  /** A further engine on the same data, once the first is closed; leave out where data end with it. */
  reopen?(): Engine
  /** Moves the engine's clock on by milliseconds; leave out where it goes by itself, and the suite waits. */
  advance?(ms: number): void
  /** Releases what the subject opened besides its engines. */
  dispose?(): Promise<void> | void
}

/** The capabilities of an engine. */
export type Capability = 'kv' | 'log' | 'presence' | 'occupancy' | 'lease' | 'bus' | 'limiter'

/** What the tests of one capability are written with. */
export interface PartKit<Name extends Capability> {
  /** A test on a fresh engine; skipped, with the reason in its name, when something is lacking. */
  check(
    title: string,
    body: (part: NonNullable<Engine[Name]>, subject: EngineSubject) => Promise<void>,
    lacks?: string | false,
  ): void
  readonly expect: TestRunner['expect']
  /** Why there is no reopening; false when there is. */
  readonly noReopen: string | false
}

/** The tests of one capability. */
export interface EnginePart<Name extends Capability> {
  readonly capability: Name
  /** Why they are skipped when an engine lacks it, as in 'it has no log'. */
  readonly lacking: string
  tests(kit: PartKit<Name>): void
}

/** Runs a test on a fresh subject, and closes it afterwards. */
export async function withSubject(
  setup: () => EngineSubject,
  body: (subject: EngineSubject) => Promise<void>,
): Promise<void> {
  const subject = setup()
  try {
    await body(subject)
  } finally {
    await subject.engine.close()
    await subject.dispose?.()
  }
}

/** Bytes from numbers. */
export function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values)
}

/** The code of what a call rejects with. */
export async function refusal(call: Promise<unknown>): Promise<unknown> {
  return codeOf(await failure(call))
}

/** Lets time pass: by the subject's clock, or until something has come about. */
export async function pass(
  subject: EngineSubject,
  ms: number,
  isOver: () => Promise<boolean>,
): Promise<void> {
  if (subject.advance) subject.advance(ms)
  while (!(await isOver())) await new Promise(resolve => setTimeout(resolve, 5))
}

/** What was heard, and a way to wait for more of it. */
export class Heard<Item> {
  readonly items: Item[] = []
  #waiting: { readonly count: number; readonly resolve: (items: Item[]) => void }[] = []

  readonly add = (item: Item): void => {
    this.items.push(item)
    for (const { count, resolve } of this.#waiting) if (this.items.length >= count) resolve(this.items)
    this.#waiting = this.#waiting.filter(({ count }) => this.items.length < count)
  }

  /** All that was heard, once there is so much of it. */
  async atLeast(count: number): Promise<Item[]> {
    if (this.items.length >= count) return this.items
    const { promise, resolve } = deferred<Item[]>()
    this.#waiting.push({ count, resolve })
    return promise
  }
}
