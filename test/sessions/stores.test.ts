import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import session from 'express-session'
import memoryStore from 'memorystore'
// @ts-expect-error: it comes without types
import fileStore from 'session-file-store'
import type { SessionStore } from '../../src/sessions/repository.js'
import { describeStore, expiryIn, type StorePlace, write } from './store-suite.js'

/** Sessions that end when it is told so. */
function placeOf(store: unknown): StorePlace {
  return {
    open: () => store as SessionStore,
    expire: id => new Promise(resolve => (store as SessionStore).destroy(id, () => resolve())),
    expiry: id => expiryIn(store as SessionStore, id),
    close: async () => {},
  }
}

describeStore("express-session's MemoryStore", async () => {
  const store = new session.MemoryStore() as unknown as SessionStore
  const past = { cookie: { originalMaxAge: 1, expires: new Date(1) } }
  return { ...placeOf(store), expire: id => write(store, id, past) }
})

describeStore('memorystore', async () => {
  const Store = memoryStore(session)
  return placeOf(new Store({}))
})

describeStore('session-file-store', async () => {
  const path = await mkdtemp(join(tmpdir(), 'sessions-'))
  const Store = fileStore(session) as new (options: object) => SessionStore
  const open = () => new Store({ path, retries: 0, reapInterval: -1, logFn: () => {} })
  return { ...placeOf(open()), open, close: () => rm(path, { recursive: true, force: true }) }
})
