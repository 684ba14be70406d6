import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LiveSession } from '../../src/actors/live-session.js'
import type { SessionLike } from '../../src/sessions/session.js'
import { createSite, type Site, settle, type Tab } from './cache-support.js'

const ID = 'abc'
const KEYS = ['a', 'b', 'c'] as const
type Key = (typeof KEYS)[number]

/** Somebody has set a key: from when it may have been written, and by when it was if it was `kept`. */
interface Write {
  readonly key: Key
  readonly value: unknown
  readonly from: number
  by: number
  /** Whether it was promised; otherwise it may have been written, or not. */
  kept: boolean
}

const tab = fc.nat(2)
const key = fc.constantFrom(...KEYS)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('step' as const), at: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('fault' as const), at: fc.nat(5), acts: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      tab,
      keys: fc.uniqueArray(key, { minLength: 1 }),
      how: fc.constantFrom('set', 'set', 'delete', 'fail'),
      pauses: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resume' as const), at: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), tab }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const), tab }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('request' as const), key, touches: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('read elsewhere' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('write elsewhere' as const) }) },
)
const end = fc.constantFrom<Ending>('none', 'none', 'call', 'request', 'told')
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
type Ending = 'none' | 'call' | 'request' | 'told'

/** One run: the parts of the system, and what is known of them. */
class Run {
  readonly site: Site
  readonly #caching: boolean
  readonly #tabs: (Tab | undefined)[]
  /** What the store had, one after another. */
  readonly #history: string[] = []
  readonly #writes: Write[] = KEYS.map(key => ({ key, value: `${key} first`, from: 0, by: 0, kept: true }))
  readonly #forbidden = new Set<string>()
  readonly #paused: (() => void)[] = []
  readonly #open = new Set<Promise<unknown>>()
  readonly #errors: unknown[] = []
  #now = 0
  #values = 0
  #elsewhere: { key: Key; data: Record<string, unknown> } | undefined
  #ending = false
  #over = false

  constructor(caching: boolean) {
    this.#caching = caching
    this.site = createSite(caching ? {} : { cacheSessions: false })
    const { store } = this.site
    store.put(ID, { a: 'a first', b: 'b first', c: 'c first' })
    store.stored.set = (id, text) => {
      Map.prototype.set.call(store.stored, id, text)
      if (id === ID) this.#note()
      return store.stored
    }
    this.#note()
    this.#tabs = [0, 1, 2].map(() => this.site.join(ID))
    store.hold()
  }

  async do(step: Step): Promise<void> {
    this.#now++
    const { store, cache } = this.site
    switch (step.do) {
      case 'step':
        if (store.waiting.length > 0) store.step(step.at % store.waiting.length)
        break
      case 'fault':
        if (store.waiting.length > 0) store.step(step.at % store.waiting.length, new Error('down'), step.acts)
        break
      case 'call': {
        const tab = this.#tabs[step.tab]
        if (tab && isIn(tab)) this.#settles(this.#call(tab, step))
        break
      }
      case 'resume':
        this.#paused.splice(step.at % (this.#paused.length || 1), 1)[0]?.()
        break
      case 'leave':
        this.#tabs[step.tab]?.leave()
        break
      case 'join':
        if (!this.#ending && !this.#tabs[step.tab]?.ref.live) this.#tabs[step.tab] = this.site.join(ID)
        break
      case 'sweep':
        cache.tell({ type: 'sweep', now: Date.now() + 120_000 })
        break
      case 'request':
        if (!this.#ending) this.#settles(this.#request(step.key, step.touches))
        break
      case 'read elsewhere':
        if (!this.#ending) this.#elsewhere = { key: step.key, data: store.data(ID) ?? {} }
        break
      case 'write elsewhere':
        this.#writeElsewhere()
    }
    await settle()
    this.#check()
  }

  async end(how: Ending): Promise<void> {
    const { store, control } = this.site
    this.#ending = how !== 'none'
    const tab = this.#tabs.find(tab => tab && isIn(tab))
    const over = (): void => {
      this.#over = true
    }
    if (how === 'told') {
      // As another process would: past this one, which is told.
      store.stored.delete(ID)
      control.destroyed(ID)
    } else if (how === 'request') this.#settles(control.destroy(ID).then(over))
    else if (how === 'call' && tab) {
      this.#settles(this.site.call(tab, session => session.destroy()).then(over))
    } else this.#ending = false
  }

  async finish(): Promise<void> {
    const { store } = this.site
    store.release()
    await settle()
    for (let turn = 0; turn < 20 && (this.#open.size > 0 || this.#paused.length > 0); turn++) {
      for (const resume of this.#paused.splice(0)) resume()
      await settle()
    }
    expect(this.#open.size, 'promises left hanging').toBe(0)
    for (const error of this.#errors) {
      expect(['SESSION_UNAVAILABLE', 'SESSION_ENDED', 'failed on purpose', 'down']).toContain(
        (error as { code?: string }).code ?? (error as Error).message,
      )
    }
    this.#check()
    if (this.#over || (this.#ending && !store.stored.has(ID))) await this.#checkEnd()
    else if (store.stored.has(ID)) this.#checkKeys()
    // Only somebody who destroys it takes a session away.
    else expect(this.#ending).toBe(true)
    if (
      this.#ending &&
      !this.#errors.some(error => (error as { code?: string }).code === 'SESSION_UNAVAILABLE')
    ) {
      expect(store.stored.has(ID), 'was to be destroyed').toBe(false)
    }
    this.site.close()
  }

  // ---- what they do -----------------------------------------------------------------------------

  async #call(tab: Tab, { keys, how, pauses }: Step & { do: 'call' }): Promise<void> {
    const arrived = this.#history.length - 1
    const writes: Write[] = []
    const handler = async (session: SessionLike): Promise<void> => {
      this.#checkSeen(session, arrived)
      for (const key of keys) {
        const value = how === 'delete' ? undefined : `${key} ${++this.#values}`
        if (how === 'fail') this.#forbidden.add(value!)
        // To delete what one does not see is no change.
        else if (value !== session[key])
          writes.push({ key, value, from: this.#now, by: Number.POSITIVE_INFINITY, kept: false })
        if (how === 'delete') delete session[key]
        else session[key] = value
      }
      if (pauses) await new Promise<void>(resolve => this.#paused.push(resolve))
      if (how === 'fail') throw new Error('failed on purpose')
      for (const [at, write] of writes.entries()) writes[at] = { ...write, from: this.#now }
      this.#writes.push(...writes)
    }
    await this.site.call(tab, handler)
    this.#promised(writes)
  }

  async #request(key: Key, touches: boolean): Promise<void> {
    const session = await this.site.request(ID)
    await new Promise<void>(resolve => this.#paused.push(resolve))
    if (session === null) return
    if (touches) {
      return new Promise((resolve, reject) =>
        this.site.control.store.touch?.(
          ID,
          session as never,
          ((error?: unknown) => (error ? reject(error) : resolve())) as () => void,
        ),
      )
    }
    const value = `${key} ${++this.#values}`
    session[key] = value
    const write = { key, value, from: this.#now, by: Number.POSITIVE_INFINITY, kept: false }
    this.#writes.push(write)
    await session.save()
    this.#promised([write])
  }

  /** The race that remains: another process writes all it has read, at whatever time. */
  #writeElsewhere(): void {
    const { store } = this.site
    if (this.#elsewhere === undefined || this.#ending || !store.stored.has(ID)) return
    const { key, data } = this.#elsewhere
    this.#elsewhere = undefined
    const written = { ...data, [key]: `${key} ${++this.#values}` }
    const [from, by] = [this.#now, this.#now]
    for (const key of KEYS) this.#writes.push({ key, value: written[key], from, by, kept: false })
    store.put(ID, written)
  }

  #promised(writes: readonly Write[]): void {
    for (const write of writes) {
      write.by = this.#now
      write.kept = !this.#over
    }
  }

  #settles(promise: Promise<unknown>): void {
    const settled = promise.catch(error => void this.#errors.push(error))
    this.#open.add(settled)
    settled.then(() => this.#open.delete(settled))
  }

  // ---- what is promised -------------------------------------------------------------------------

  /** The handler sees what was stored at one time: without a cache, since its message came. */
  #checkSeen(session: SessionLike, arrived: number): void {
    const { cookie: _cookie, ...seen } = session as Record<string, unknown>
    const possible = this.#caching ? this.#history : this.#history.slice(arrived)
    if (this.#ending) possible.push('{}')
    expect(possible.map(text => JSON.parse(text) as unknown)).toContainEqual(seen)
  }

  #check(): void {
    const { store } = this.site
    if (this.#over) expect(store.stored.has(ID), 'reappeared').toBe(false)
    for (const value of Object.values(store.data(ID) ?? {})) {
      expect(this.#forbidden.has(value as string), `${value} is of a handler that failed`).toBe(false)
    }
  }

  /** A value stays unless it was promised that a later one is there. */
  #checkKeys(): void {
    const data = this.site.store.data(ID)!
    for (const key of KEYS) {
      const writes = this.#writes.filter(write => write.key === key)
      const possible = writes.filter(({ by }) => !writes.some(later => later.kept && later.from > by))
      expect(possible.map(({ value }) => value)).toContain(data[key])
    }
  }

  async #checkEnd(): Promise<void> {
    const { store } = this.site
    expect(store.stored.has(ID), 'reappeared').toBe(false)
    // If the store failed to say so, it is found out.
    this.site.sweep(Date.now() + 120_000)
    await settle()
    for (const tab of this.#tabs) {
      if (tab?.ref.live) expect(isIn(tab)).toBe(false)
      else if (tab?.closed !== undefined) expect(tab.closed).toBe(4405)
    }
    const next = this.site.join(ID)
    await settle()
    expect(next.liveSession.id).not.toBe(ID)
  }

  #note(): void {
    this.#history.push(JSON.stringify(this.site.store.data(ID)))
  }
}

/** Whether a tab is connected, and with the session in question. */
function isIn(tab: Tab): boolean {
  return tab.ref.live && tab.answer instanceof LiveSession && tab.answer.id === ID
}

test.each([
  ['on', true],
  ['off', false],
])(
  'one session keeps its promises to a site and three tabs, with cacheSessions %s',
  async (_how, caching) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 50, size: 'max' }),
        end,
        fc.array(step, { maxLength: 15, size: 'max' }),
        async (before, how, after) => {
          const run = new Run(caching)
          for (const step of before) await run.do(step)
          await run.end(how)
          for (const step of after) await run.do(step)
          await run.finish()
        },
      ),
      { numRuns: 200, seed: 5 },
    )
  },
)
