import { SocketStreamError } from '../../errors.js'
import type { Connection } from '../service.js'
import type { ModelCall } from './calls.js'
import type { Keeper } from './keeper.js'
import { LiveQuery } from './live-query.js'
import { openQuery } from './load-query.js'
import type { ModelContext } from './options.js'
import type { Pane } from './pane.js'
import { Viewer } from './viewer.js'
import { validate } from './writer.js'

type WatchCall = ModelCall & { readonly method: 'watch' }

/** Whether what another server has shown may be later than what is known here. */
type How = 'known' | 'anew'

/** A query that a connection watches, or has asked to. */
interface Watch {
  /** What it was asked for by. */
  readonly call: WatchCall
  query: LiveQuery | undefined
  pane: Pane | undefined
}

/** A connection that watches something. */
interface Client {
  readonly id: string
  readonly viewer: Viewer
  readonly watches: Map<number, Watch>
  /** Ids of records that it watches, each with the request that has asked for it. */
  readonly records: Map<string, object>
}

/** Characters in the longest name and parameters of a query. */
const MAX_PARAMS = 4096

/** What each connection watches. */
export class Watches {
  readonly #keeper: Keeper
  readonly #clients = new Map<string, Client>()
  readonly #viewers = new Map<string, Viewer>()

  constructor(keeper: Keeper) {
    this.#keeper = keeper
  }

  /** Watches a query; in place of what it has watched under this number. */
  async watch(connection: Connection, call: WatchCall): Promise<void> {
    const show = await this.#open(connection, call)
    show?.()
  }

  /** What a connection watches, for another server that goes on with it. */
  of({ id }: Pick<Connection, 'id'>): [calls: WatchCall[], records: string[]] {
    const client = this.#clients.get(id)
    if (client === undefined) return [[], []]
    return [[...client.watches.values()].map(({ call }) => call), [...client.records.keys()]]
  }

  /** Watches what a connection has watched at another server, and sends all of it; to whether that went well. */
  async goOn(
    connection: Connection,
    calls: readonly WatchCall[],
    records: readonly string[],
  ): Promise<boolean> {
    const getting = Promise.allSettled(records.map(id => this.get(connection, id, 'anew')))
    const opened = await Promise.allSettled(calls.map(call => this.#open(connection, call, 'anew')))
    let isRight = true
    // In one go: until its client has all windows, it takes numbers of ours for those of the other server.
    for (const outcome of opened) {
      if (outcome.status === 'rejected' || outcome.value?.() === false) isRight = false
    }
    return (await getting).every(({ status }) => status === 'fulfilled') && isRight
  }

  /** Has a query ready; gives what shows it, with false when it has ended since. Undefined when it was left meanwhile. */
  async #open(
    connection: Connection,
    call: WatchCall,
    how: How = 'known',
  ): Promise<(() => boolean) | undefined> {
    const { options } = this.#keeper
    const { offset, limit } = call
    if (limit > options.window) {
      throw new SocketStreamError(
        'INVALID_ARGUMENTS',
        `A window shows up to ${options.window} records; ask for fewer`,
      )
    }
    if (offset > options.results) {
      throw new SocketStreamError('INVALID_ARGUMENTS', `A query has up to ${options.results} records`)
    }
    const definition = options.queries.get(call.query)
    if (definition === undefined) {
      throw new SocketStreamError('INVALID_ARGUMENTS', `There is no query '${call.query.slice(0, 100)}'`)
    }
    const client = this.#client(connection)
    const before = client.watches.get(call.watch)
    if (before === undefined) this.#checkCount(client)
    const watch: Watch = { call, query: undefined, pane: undefined }
    client.watches.set(call.watch, watch)
    let after = before
    const leaveBefore = (): void => {
      if (after !== undefined) this.#leave(client, after)
      after = undefined
    }
    try {
      const { params: schema } = definition
      const params = schema === undefined ? call.params : await validate(schema, call.params)
      // Left, asked for anew, or gone meanwhile: then it has been released, or is nothing yet.
      const current = (): boolean => client.watches.get(call.watch) === watch
      if (!current()) {
        leaveBefore()
        return undefined
      }
      const key = keyOf(call.query, params)
      const { desk } = this.#keeper
      const isStale = how === 'anew' && desk.queries.has(key)
      const query = openQuery(this.#keeper, key, () => {
        return new LiveQuery(desk, key, call.query, definition, params)
      })
      watch.query = query
      query.users++
      // Not earlier: it may be the same query, which would be read anew.
      leaveBefore()
      await query.ready
      if (isStale) await this.#keeper.reread(query)
      return () => {
        if (!current()) return true
        if (desk.queries.get(key) !== query) return false
        watch.pane = query.watch(client.viewer, client.id, call.watch, offset, limit)
        return true
      }
    } catch (error) {
      leaveBefore()
      if (client.watches.get(call.watch) === watch) {
        client.watches.delete(call.watch)
        this.#leave(client, watch)
        this.#settle(client)
      }
      throw error
    }
  }

  unwatch({ id }: Connection, number: number): void {
    const client = this.#clients.get(id)
    const watch = client?.watches.get(number)
    if (client === undefined || watch === undefined) return
    client.watches.delete(number)
    this.#leave(client, watch)
    this.#settle(client)
  }

  /** Watches a record by its id. */
  async get(connection: Connection, id: string, how: How = 'known'): Promise<void> {
    const { desk, lanes } = this.#keeper
    const client = this.#client(connection)
    if (!client.records.has(id)) this.#checkCount(client)
    const request = {}
    client.records.set(id, request)
    try {
      if (how === 'anew' && desk.entries.has(id)) await this.#keeper.refresh(id)
      if (client.records.get(id) !== request) return
      const known = desk.entries.get(id)
      if (known !== undefined) return desk.watch(id, known.stored, client.id, client.viewer)
      await lanes.run(id, async () => {
        const stored = await this.#keeper.load(id)
        if (client.records.get(id) !== request) return
        desk.checkRoom([{ id, stored: stored! }])
        desk.watch(id, stored, client.id, client.viewer)
      })
    } catch (error) {
      if (client.records.get(id) === request) this.leave(connection, id)
      throw error
    }
  }

  leave(connection: Pick<Connection, 'id'>, id: string): void {
    const client = this.#clients.get(connection.id)
    if (!client?.records.delete(id)) return
    this.#keeper.desk.unwatch(id, client.id)
    this.#settle(client)
  }

  /** Sends a record that it watches, in whatever way, anew. */
  fetch(connection: Connection, id: string): void {
    const client = this.#clients.get(connection.id)
    if (client !== undefined) this.#keeper.desk.resend(id, client.id, client.viewer)
  }

  /** The connection has gone. */
  close({ id }: Connection): void {
    const client = this.#clients.get(id)
    if (client === undefined) return
    const watches = [...client.watches.values()]
    client.watches.clear()
    for (const watch of watches) this.#leave(client, watch)
    for (const record of [...client.records.keys()]) {
      client.records.delete(record)
      this.#keeper.desk.unwatch(record, id)
    }
    this.#settle(client)
  }

  #client(connection: Connection): Client {
    const known = this.#clients.get(connection.id)
    if (known !== undefined) return known
    if (!connection.open) throw new SocketStreamError('CONNECTION_LOST', 'The connection has gone')
    const { options, log } = this.#keeper
    const ctx = contextOfViewer(connection)
    const key = options.viewer(ctx)
    if (typeof key !== 'string') {
      throw new SocketStreamError(
        'INVALID_OPTION',
        'model: `viewer` must give a string; give one for nobody, too',
      )
    }
    const viewer = this.#viewers.get(key) ?? new Viewer(key, options.authorize, log)
    viewer.contexts.set(connection.id, ctx)
    this.#viewers.set(key, viewer)
    const client = { id: connection.id, viewer, watches: new Map(), records: new Map() }
    this.#clients.set(client.id, client)
    return client
  }

  /** Forgets a connection that watches nothing any more. */
  #settle({ id, viewer, watches, records }: Client): void {
    if (watches.size > 0 || records.size > 0 || !this.#clients.delete(id)) return
    viewer.contexts.delete(id)
    if (viewer.contexts.size === 0) this.#viewers.delete(viewer.key)
  }

  #checkCount(client: Client): void {
    const { watches } = this.#keeper.options
    if (client.watches.size + client.records.size < watches) return
    this.#settle(client)
    throw new SocketStreamError(
      'OVERLOADED',
      `A connection may watch ${watches} records and queries; leave some first`,
    )
  }

  #leave({ viewer, id }: Client, { query, pane }: Watch): void {
    if (query === undefined) return
    if (pane !== undefined) query.leave(viewer, id, pane)
    if (--query.users === 0) this.#keeper.desk.drop(query)
  }
}

/** The same for the same name and parameters. @throws SocketStreamError `INVALID_ARGUMENTS` */
function keyOf(name: string, params: unknown): string {
  const key = JSON.stringify([name, params], (_key, value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
  })
  if (key.length <= MAX_PARAMS) return key
  throw new SocketStreamError(
    'INVALID_ARGUMENTS',
    `The parameters of a query have up to ${MAX_PARAMS} characters`,
  )
}

/** Of someone who stays: without the request, which would be kept as long. */
function contextOfViewer(connection: Connection): ModelContext {
  return {
    connection,
    connectionId: connection.id,
    clientIp: connection.clientIp,
    user: connection.user,
    get session() {
      return connection.session
    },
  }
}
