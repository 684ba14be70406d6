/** Todos on a real server over the memory transport, whose retries go by a clock of their own. */
import { afterEach } from 'vitest'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import { createClient } from '../../src/client/node.js'
import type { Engine } from '../../src/engines/engine.js'
import { modelClient } from '../../src/services/model/client.js'
import {
  type ModelOptions,
  type ModelQueries,
  type ModelStorage,
  memoryStorage,
  model,
} from '../../src/services/model/index.js'
import { manualClock } from '../../src/testing/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import type { MemoryClientLink } from '../../src/transports/memory.js'
import { testServer } from '../support/wire.js'

export interface Todo {
  readonly id: string
  readonly text: string
  readonly done: boolean
  readonly owner?: string
  readonly tags?: readonly string[]
}

/** Called after each test, last first. */
export const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export const queries: ModelQueries<Todo, Params> = {
  all: {},
  open: { filter: (todo: Todo) => !todo.done },
  by: { filter: (todo: Todo, owner: string) => todo.owner === owner },
  byText: {
    compare: (one: Todo, other: Todo) => (one.text < other.text ? -1 : one.text > other.text ? 1 : 0),
  },
}

type Params = { all: unknown; open: unknown; by: string; byText: unknown }
type Options = Partial<ModelOptions<Todo, Params, 'id'>>

/** A server with todos. */
export async function start(
  options: Options = {},
  storage: ModelStorage<Todo> = memoryStorage<Todo>(),
  engine?: Engine,
) {
  const clock = manualClock()
  const system = new ActorSystem({ clock })
  const made = testServer(engine && { engine })
  const definition = model({
    ...storage,
    authorize: () => true,
    queries,
    ...(options as { queries?: typeof queries }),
  })
  const app = made.app.service('todos', {
    ...definition,
    server(server) {
      Object.defineProperty(server, 'spawn', { value: system.root.spawn.bind(system.root) })
      return definition.server(server)
    },
  })
  await app.start()
  cleanups.push(() => app.stop())
  const connect = async (clientIp = '127.0.0.1') => {
    const links: MemoryClientLink[] = []
    const transport = memoryClient({
      connect: async options => {
        const link = await made.transport.connect({ ...options, clientIp })
        links.push(link)
        return link
      },
    })
    const client = createClient<typeof app>({
      url: 'memory:',
      transport,
      services: { todos: modelClient },
      reconnect: { minDelay: 1, maxDelay: 1 },
    })
    cleanups.push(() => client.close())
    await client.connect()
    /** Loses the connection. */
    const drop = (): void => links.at(-1)!.close(4500, 'lost')
    return { client, todos: client.api.todos, drop }
  }
  return { ...made, app, api: app.api.todos, clock, storage, connect }
}

/** Lets what is under way come in until something holds. */
export async function until(holds: () => boolean) {
  for (let turn = 0; turn < 20_000; turn++) {
    if (holds()) return
    await new Promise(setImmediate)
  }
  throw new Error('It does not come to hold')
}

/** A todo. */
export function todo(id: string, more: Partial<Todo> = {}): Todo {
  return { id, text: `text of ${id}`, done: false, ...more }
}
