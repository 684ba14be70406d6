import type { SessionStore } from '../../src/sessions/repository.js'
import type { StoreData } from '../../src/sessions/session.js'

type Answer = (error?: unknown, data?: StoreData | null) => void

/** A store whose calls take effect and answer only when they are let. */
export class SteppedStore implements SessionStore {
  /** JSON by id. */
  readonly stored = new Map<string, string>()
  /** Every call, as `get abc`. */
  readonly log: string[] = []
  readonly #calls: { name: string; run: (error?: Error, acts?: boolean) => void }[] = []
  #held = false

  /** What is stored, without its cookie; undefined for nothing. */
  data(id: string): Record<string, unknown> | undefined {
    const text = this.stored.get(id)
    if (text === undefined) return undefined
    const { cookie: _cookie, ...data } = JSON.parse(text) as Record<string, unknown>
    return data
  }

  put(id: string, data: object): void {
    this.stored.set(id, JSON.stringify({ cookie: { originalMaxAge: null, path: '/' }, ...data }))
  }

  /** Calls that wait. */
  get waiting(): readonly string[] {
    return this.#calls.map(({ name }) => name)
  }

  /** From now on calls wait. */
  hold(): void {
    this.#held = true
  }

  /** Lets one call that waits take effect and answer, or fail: without having taken effect, or with. */
  step(index = 0, error?: Error, acts = false): void {
    this.#calls.splice(index, 1)[0]?.run(error, acts)
  }

  /** Lets all calls through, also later ones. */
  release(): void {
    this.#held = false
    while (this.#calls.length > 0) this.step()
  }

  get(id: string, answer: Answer): void {
    this.#call(`get ${id}`, answer, () => {
      const text = this.stored.get(id)
      return text === undefined ? null : (JSON.parse(text) as StoreData)
    })
  }

  set(id: string, data: StoreData, answer?: Answer): void {
    const text = JSON.stringify(data)
    this.#call(`set ${id}`, answer, () => void this.stored.set(id, text))
  }

  destroy(id: string, answer?: Answer): void {
    this.#call(`destroy ${id}`, answer, () => void this.stored.delete(id))
  }

  touch(id: string, data: StoreData, answer?: Answer): void {
    this.#call(`touch ${id}`, answer, () => {
      const text = this.stored.get(id)
      if (text !== undefined)
        this.stored.set(id, JSON.stringify({ ...JSON.parse(text), cookie: data.cookie }))
    })
  }

  #call(name: string, answer: Answer | undefined, act: () => unknown): void {
    this.log.push(name)
    const run = (error?: Error, acts = true): void => {
      const result = error === undefined || acts ? act() : undefined
      if (error) answer?.(error)
      else answer?.(undefined, (result ?? null) as StoreData | null)
    }
    if (this.#held) this.#calls.push({ name, run })
    else run()
  }
}
