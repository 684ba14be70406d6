import { RedisStore } from 'connect-redis'
import type { SessionStore } from '../../src/sessions/repository.js'
import { redisClient } from './redis.js'

type RedisClient = Awaited<ReturnType<typeof redisClient>>

let places = 0

/** Sessions of one test in a Redis server; each `open` is a store of another process, with its own client. */
export async function redisPlace(port: number) {
  const prefix = `place${++places}:`
  const clients: RedisClient[] = []
  const connect = async (): Promise<RedisClient> => {
    const client = await redisClient(port)
    clients.push(client)
    return client
  }
  const own = await connect()
  return {
    prefix,
    /** A client for the test itself. */
    own,
    /** All clients, the test's own first. */
    clients,
    open: async () => new RedisStore({ client: await connect(), prefix }) as unknown as SessionStore,
    // A time that is past already: Redis lets it expire at once.
    expire: async (id: string) => void (await own.pExpireAt(prefix + id, 1)),
    expiry: (id: string) => own.pExpireTime(prefix + id),
    close: async () => {
      for (const client of clients) client.destroy()
    },
  }
}
