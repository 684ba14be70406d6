import { hasCode } from '../../errors.js'
import type { ServiceClient } from '../service.js'
import { type Change, diff, patch } from './patch.js'

/** What an event must have: its type. */
export interface MachineEvent {
  readonly type: string
}

/**
 * An actor of the server, as a client sees it.
 *
 * All its functions may be taken out of it: `useSyncExternalStore(order.subscribe, order.getSnapshot)`.
 */
export interface RemoteActor<Event = MachineEvent, View = unknown> {
  readonly key: string
  /**
   * Sends an event. Resolves when the machine has handled it, and saved its state if it persists.
   *
   * Rejects with `FORBIDDEN`, `ACTOR_STOPPED` when the machine is done, `ACTOR_CRASHED` when it failed
   * at the event, or `PERSIST_FAILED`.
   */
  send(event: Event): Promise<void>
  /** Whether the machine would take an event now; false also for what this client may not send. */
  can(event: Event): Promise<boolean>
  /** The latest view: the same object until something changes. Undefined before the first. */
  getSnapshot(): View | undefined
  /**
   * Calls back after each change; returns what ends it.
   *
   * The first listener subscribes to the server, the last one to leave ends that.
   */
  subscribe(listener: () => void): () => void
  /** Whether the machine is in a state, such as `'paid'`, `'cart.empty'` or `{ cart: 'empty' }`. */
  matches(state: string | object): boolean
  /** The first view of a subscription; subscribes while it waits. Rejects when that is refused. */
  ready(): Promise<View>
  /** The last view, once the machine is done; subscribes while it waits. Rejects when that is refused. */
  done(): Promise<View>
}

/** Takes what the server pushes. */
export type Receive = (from: number, to: number, data: unknown, done: boolean) => void

/** A subscription that failed with one of these stands: it is asked for again after the reconnect. */
const LOSSES = ['NOT_CONNECTED', 'CONNECTION_LOST']

/** Makes the actor of a key, and what takes its pushes. */
export function remoteActor(
  service: ServiceClient,
  key: string,
): { readonly actor: RemoteActor; readonly receive: Receive } {
  let view: unknown
  /** Version of the view; 0 while there is no subscription. */
  let version = 0
  let finished = false
  /** Pushes that came while the whole view was asked for; undefined when it is not. */
  let mending: Parameters<Receive>[] | undefined
  const listeners = new Set<{ readonly listener: () => void }>()
  const waiting = new Set<{ settle(): void; fail(error: unknown): void }>()

  const set = (next: unknown, to: number, done: boolean): void => {
    const changes = version === 0 && view === undefined ? undefined : diff(view, next)
    // Taken over as changes, so that what is the same stays the same object.
    update(changes === undefined ? next : patch(view, changes), to, done)
  }
  const update = (next: unknown, to: number, done: boolean): void => {
    const changed = !Object.is(next, view) || done !== finished
    view = next
    version = to
    finished = done
    for (const entry of [...waiting]) entry.settle()
    if (!changed) return
    for (const entry of [...listeners]) {
      try {
        if (listeners.has(entry)) entry.listener()
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
  const receive: Receive = (from, to, data, done) => {
    if (listeners.size === 0) return
    if (from === 0) {
      mending = undefined
      set(data, to, done)
    } else if (version === 0) {
      // Of the subscription before: the whole view is on its way.
    } else if (mending !== undefined) mending.push([from, to, data, done])
    else if (from !== version) mend()
    else {
      let next: unknown
      try {
        next = patch(view, data as Change[])
      } catch {
        return mend()
      }
      update(next, to, done)
    }
  }
  /** Something is missing: asks for the whole view. */
  const mend = (): void => {
    const missed: Parameters<Receive>[] = []
    mending = missed
    service.call(['get', key]).then(
      answer => {
        if (mending !== missed) return
        mending = undefined
        const [to, whole, done] = answer as [number, unknown, boolean]
        set(whole, to, done)
        for (const push of missed) if (push[1] > to) receive(...push)
      },
      () => {
        // With the next push, or after the reconnect, it is asked for again.
        if (mending === missed) mending = undefined
      },
    )
  }
  const topic = (): void => {}
  const ask = (): void => {
    service.subscribe(key, topic).catch(error => {
      if (hasCode(error) && LOSSES.includes(error.code)) return
      for (const entry of [...waiting]) entry.fail(error)
    })
  }
  const subscribe = (listener: () => void): (() => void) => {
    const entry = { listener }
    listeners.add(entry)
    // Also for further listeners: one that stands is left as it is, one that was refused is tried again.
    ask()
    return () => {
      if (!listeners.delete(entry) || listeners.size > 0) return
      version = 0
      mending = undefined
      service.unsubscribe(key)
    }
  }
  const wait = (until: () => boolean): Promise<unknown> => {
    const promise = new Promise((resolve, reject) => {
      const end = (): void => {
        waiting.delete(entry)
        leave()
      }
      const entry = {
        settle() {
          if (!until()) return
          end()
          resolve(view)
        },
        fail(error: unknown) {
          end()
          reject(error)
        },
      }
      waiting.add(entry)
      const leave = subscribe(() => {})
      entry.settle()
    })
    // Whoever asks and then does not look must not bring the process down.
    promise.catch(() => {})
    return promise
  }

  const actor: RemoteActor = {
    key,
    send: async event => void (await service.call(['send', key, event])),
    can: async event => (await service.call(['can', key, event])) === true,
    getSnapshot: () => view,
    subscribe,
    matches: state => contains((view as { value?: unknown } | undefined)?.value, state),
    ready: () => wait(() => version > 0),
    done: () => wait(() => version > 0 && finished),
  }
  return { actor, receive }
}

/** Whether a state value is the wanted one or lies within it. */
function contains(value: unknown, wanted: unknown): boolean {
  if (typeof wanted === 'string') {
    const [first = '', ...rest] = wanted.split('.')
    if (typeof value === 'string') return value === first && rest.length === 0
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, first)) return false
    return rest.length === 0 || contains((value as Record<string, unknown>)[first], rest.join('.'))
  }
  if (typeof wanted !== 'object' || wanted === null || typeof value !== 'object' || value === null)
    return false
  return Object.entries(wanted).every(
    ([key, inner]) => Object.hasOwn(value, key) && contains((value as Record<string, unknown>)[key], inner),
  )
}
