import type { ServiceClient } from '../service.js'
import type { ModelClient, PageOptions } from './api.js'
import type { Operation } from './diff.js'
import type { Step } from './pane.js'
import { type QueryOwner, QueryState, type SentRow } from './query-state.js'
import { type AnyRecord, RecordState } from './record-state.js'

export type {
  Changes,
  Followed,
  ModelClient,
  ModelQueryPage,
  ModelSnapshot,
  PageOptions,
  RemoteQuery,
  RemoteRecord,
  WriteOptions,
} from './api.js'

/** Records and queries that are remembered though nobody uses them, of each. */
const MAX_IDLE = 1000
const LIMIT = 100

type Message =
  | [kind: 0]
  | [kind: 1, watch: number, pane: number, total: number, rows: SentRow[]]
  | [kind: 2, pane: number, total: number, steps: Step[]]
  | [kind: 3, id: string, from: number, to: number, operations: Operation[]]
  | [kind: 4, id: string, version: number, record?: AnyRecord]
  | [kind: 5, pane: number]

/**
 * The client half of models, for browsers and Node.
 *
 * @example
 * const client = createClient<typeof app>({ url, services: { todos: modelClient } })
 * await client.connect()
 * const open = client.api.todos.query('open')
 * open.subscribe(() => console.log(open.getSnapshot()?.records))
 */
export const modelClient = {
  client<R = AnyRecord, New = R, Params = Record<string, unknown>>(
    service: ServiceClient,
  ): ModelClient<R, New, Params> {
    const records = new Pool<RecordState>()
    const queries = new Pool<QueryState>()
    let watches = 0
    const stateOf = (id: string): RecordState =>
      records.get(id, () => new RecordState(service, id, state => records.settle(id, state), stateOf))
    const queryOf = (key: string): QueryState =>
      queries.get(key, () => {
        const [name, params, offset, limit] = JSON.parse(key) as [string, unknown, number, number]
        return new QueryState(owner, ++watches, key, name, params, offset, limit)
      })
    const owner: QueryOwner = {
      service,
      stateOf,
      queryOf,
      held: state => records.settle(state.id, state),
      released(state) {
        // It may be hidden from this client: what is not shown is not kept.
        if (!state.used) state.forget()
        records.settle(state.id, state)
      },
      changedUse(query) {
        if (!query.used) query.rest()
        queries.settle(query.key, query)
      },
    }
    const showing = (pane: number): QueryState[] => queries.used().filter(query => query.pane === pane)

    /** Of others the server may still send what was under way. */
    const used = (id: string): RecordState | undefined => {
      const state = records.find(id)
      return state?.used ? state : undefined
    }

    service.onmessage = given => {
      if (!Array.isArray(given)) return
      const message = given as Message
      switch (message[0]) {
        case 0:
          for (const query of queries.used()) {
            query.pane = 0
            query.watching.renew()
          }
          for (const state of records.used()) state.renew()
          return
        case 1: {
          const [, watch, pane, total, rows] = message
          queries
            .used()
            .find(query => query.watch === watch)
            ?.take(pane, total, rows)
          return
        }
        case 2: {
          const [, pane, total, steps] = message
          for (const query of showing(pane)) if (!query.move(total, steps)) query.watching.renew()
          return
        }
        case 3: {
          const [, id, from, to, operations] = message
          used(id)?.patch(from, to, operations)
          return
        }
        case 4: {
          const [, id, version, record = null] = message
          const state = used(id)
          state?.take(version, record)
          if (state?.watching.active) state.watching.arrived()
          return
        }
        case 5:
          for (const query of showing(message[1])) query.watching.renew()
      }
    }

    const api: ModelClient<AnyRecord, AnyRecord, Record<string, unknown>> = {
      get: id => stateOf(id).remote,
      query(name, params?: unknown, { offset = 0, limit = LIMIT }: PageOptions = {}) {
        return queryOf(JSON.stringify([name, params ?? null, offset, limit])).remote
      },
      async create(record) {
        const [, made] = (await service.call(['create', record])) as [number, AnyRecord | null]
        return made ?? undefined
      },
      update: (id, changes, options) => stateOf(id).update(changes, options),
      remove: (id, options) => stateOf(id).remove(options),
    }
    return api as unknown as ModelClient<R, New, Params>
  },
}

/** What is used, and some of what is not. */
class Pool<T extends { readonly used: boolean }> {
  readonly #used = new Map<string, T>()
  readonly #idle = new Map<string, T>()

  /** The one of a key, made if there is none. */
  get(key: string, make: () => T): T {
    const known = this.find(key)
    if (known !== undefined) return known
    const made = make()
    this.settle(key, made)
    return made
  }

  find(key: string): T | undefined {
    return this.#used.get(key) ?? this.#idle.get(key)
  }

  used(): T[] {
    return [...this.#used.values()]
  }

  /** Puts it where it belongs now. */
  settle(key: string, entry: T): void {
    this.#used.delete(key)
    this.#idle.delete(key)
    if (entry.used) this.#used.set(key, entry)
    else this.#idle.set(key, entry)
    if (this.#idle.size <= MAX_IDLE) return
    const [oldest] = this.#idle.keys()
    this.#idle.delete(oldest!)
  }
}
