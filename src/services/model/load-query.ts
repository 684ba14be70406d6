import { SocketStreamError } from '../../errors.js'
import type { Keeper } from './keeper.js'
import type { LiveQuery } from './live-query.js'
import type { CheckedModelOptions } from './options.js'
import type { Row } from './rows.js'

/** Milliseconds after which there may be room again. */
const RETRY_AFTER = 1000

/** The live query of a name and parameters; begins it when there is none. */
export function openQuery(keeper: Keeper, key: string, make: () => LiveQuery): LiveQuery {
  const { desk, options } = keeper
  const known = desk.queries.get(key)
  if (known !== undefined) return known
  if (desk.queries.size >= options.live) {
    const text = `This server watches up to ${options.live} different queries; try again later`
    throw new SocketStreamError('OVERLOADED', text, { retryAfter: RETRY_AFTER })
  }
  const query = make()
  desk.queries.set(key, query)
  query.ready = begin(keeper, query)
  query.ready.catch(() => desk.drop(query))
  return query
}

/** Reads the rows of a query from the storage. @throws SocketStreamError `OVERLOADED` for too many */
export async function loadQuery(keeper: Keeper, query: LiveQuery): Promise<Row[]> {
  const { results, storage } = keeper.options
  const listed = await storage.list({
    query: query.name,
    params: query.params,
    limit: results + 1,
    matches: record => query.matches(record),
  })
  const rows: Row[] = []
  let seen = 0
  for (const stored of listed) {
    if (++seen > results) throw tooMany(keeper.options)
    rows.push(keeper.take(undefined, stored))
  }
  return rows
}

/** The error of a query that has too many records. */
function tooMany({ results }: CheckedModelOptions): SocketStreamError {
  return new SocketStreamError(
    'OVERLOADED',
    `A query may have ${results} records; ask for fewer by its parameters`,
  )
}

async function begin(keeper: Keeper, query: LiveQuery): Promise<void> {
  const { desk, options } = keeper
  const rows = new Map<string, Row>()
  const listed = await loadQuery(keeper, query)
  // Nobody waits for it any more.
  if (desk.queries.get(query.key) !== query) return
  for (const row of listed) {
    const entry = desk.entries.get(row.id)
    if (entry === undefined) rows.set(row.id, row)
    else {
      if (entry.stored !== undefined) rows.set(row.id, { id: row.id, stored: entry.stored })
      // Changed elsewhere, and we have not heard of it yet.
      if (entry.stored?.version !== row.stored.version) keeper.refresh(row.id).catch(() => undefined)
    }
  }
  // What has changed meanwhile is later than what was listed, or the same.
  for (const [id, row] of query.touched ?? []) {
    if (row === undefined) rows.delete(id)
    else rows.set(id, row)
  }
  const taken = [...rows.values()].filter(({ stored }) => query.matches(stored.record))
  if (taken.length > options.results) throw tooMany(options)
  desk.checkRoom(taken)
  query.begin(taken)
}
