import type { Engine } from '../../engines/engine.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { ModelStorage, Stored } from './storage.js'

/** Keys that are read at a time. */
const PAGE = 500

/**
 * A storage in the key-value part of an engine, such as `lmdb`: as durable, and as much shared, as that is.
 *
 * A query that is asked for first reads all records of the model, so it is for up to some 10,000 of them.
 *
 * @param name keeps the models of an engine apart
 * @throws SocketStreamError `INVALID_OPTION` for an engine without key-value, or a wrong name
 * @example model({ ...engineStorage<Todo>(lmdb({ path: './data' }), 'todos'), authorize: () => true })
 */
// biome-ignore lint/suspicious/noExplicitAny: what it holds is said by the schema, or not at all
export function engineStorage<R = any>(engine: Pick<Engine, 'name' | 'kv'>, name: string): ModelStorage<R> {
  const { kv } = engine
  if (kv === undefined) {
    const text = `engineStorage: the engine '${engine.name}' has no key-value part; give one that has`
    throw new SocketStreamError('INVALID_OPTION', text)
  }
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name)) {
    const text = "engineStorage: the name must have 1 to 64 letters, digits, '_', '.' or '-', such as 'todos'"
    throw new SocketStreamError('INVALID_OPTION', text)
  }
  const prefix = `model:${name}:`
  const load = async (key: string): Promise<Stored<R> | undefined> => {
    const entry = await kv.get(key)
    return entry && { record: JSON.parse(Buffer.from(entry.value).toString()), version: entry.version }
  }
  const put = (id: string, record: R, ifVersion: number): Promise<number | undefined> => {
    return ifStanding(kv.set(prefix + id, Buffer.from(JSON.stringify(record)), { ifVersion }))
  }
  return {
    load: id => load(prefix + id),
    async list({ matches, limit }) {
      const found: Stored<R>[] = []
      for (let after = ''; ; ) {
        const keys = await kv.keys({ prefix, after, limit: PAGE })
        for (const stored of await Promise.all(keys.map(load))) {
          if (stored !== undefined && matches(stored.record)) found.push(stored)
          if (found.length === limit) return found
        }
        if (keys.length < PAGE) return found
        after = keys.at(-1)!
      }
    },
    create: (id, record) => put(id, record, 0),
    update: (id, record, version) => put(id, record, version),
    remove: async (id, version) =>
      (await ifStanding(kv.delete(prefix + id, { ifVersion: version }))) === true,
  }
}

/** What a write gives; undefined when another version stands there. */
function ifStanding<T>(write: Promise<T>): Promise<T | undefined> {
  return write.catch(error => {
    if (hasCode(error) && error.code === 'ENGINE_CONFLICT') return undefined
    throw error
  })
}
