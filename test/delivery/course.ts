import assert from 'node:assert/strict'
import type { Client } from '../../src/client/client.js'
import { Server, type ServerOptions } from '../../src/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'

/** Draws numbers from 0 up to 1. */
export type Draw = () => number

/** Draws by a seed. */
export function random(seed: number): Draw {
  let state = seed * 2654435761
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The server of a course. @param pause waits so many milliseconds of the course's time */
export function courseServer(options: ServerOptions, pause: (ms: number) => Promise<unknown>) {
  const ran = new Map<string, number>()
  const run = (name: string) => void ran.set(name, (ran.get(name) ?? 0) + 1)
  const app = new Server({ env: 'test', ...options })
    .service(
      'rpc',
      rpc({
        async echo(_ctx, name: string, turns: number) {
          run(name)
          if (turns > 0) await pause(turns * 100)
          return name
        },
        async *count(_ctx, name: string, to: number) {
          run(name)
          for (let n = 0; n < to; n++) {
            if (n % 3 === 2) await pause(200)
            yield n
          }
        },
      }),
    )
    .service('news', pubsub<{ told: [number] }>({ canSubscribe: () => true }))
  return { app, ran }
}

export type CourseServer = ReturnType<typeof courseServer>
export type CourseClient = Client<CourseServer['app']>

/** Where a course takes place: its server has been started. */
export interface World extends CourseServer {
  /** Makes a client behind faults. */
  client(): CourseClient
  /** Lets so many milliseconds of the course's time pass. */
  advance(ms: number): Promise<unknown>
  until<T>(work: Promise<T>): Promise<T>
  /** Does to the links what networks do, where that does not come by itself. */
  shake?(): void
  /** Ends the faults that come by themselves. */
  calm(): void
  /** Gives the clients time to be connected again. */
  settle(clients: readonly CourseClient[]): Promise<unknown>
}

interface Failure {
  code: string
  data?: { accepted?: boolean | 'unknown' }
}

/** What was published while a connection was there, and what its client heard on it. */
interface Told {
  readonly sent: number[]
  readonly heard: number[]
}

/**
 * Two clients that call, stream and listen through faults, while the server publishes.
 *
 * Resolves to how often one was resumed. Rejects unless everything arrived exactly once and in order, or was told to
 * have failed.
 */
export async function runCourse(world: World, name: string, next: Draw): Promise<number> {
  const { app, ran, advance, until } = world
  const pick = (below: number) => Math.floor(next() * below)
  const told = new Map<string, Told>()
  app.events.on('client:connect', (id: string) => told.set(id, { sent: [], heard: [] }))
  const clients = [world.client(), world.client()]
  const outcomes: Promise<void>[] = []
  let resumed = 0
  let published = 0

  const begin = (client: CourseClient): void => {
    let id: string | undefined
    client.on('status', status => {
      if (status !== 'connected') return
      if (id === client.connectionId) resumed++
      if (id === undefined)
        client.api.news.on('told', n => void told.get(client.connectionId!)!.heard.push(n))
      id = client.connectionId
    })
    void client.connect().catch(() => {})
  }
  const publish = (): void => {
    const number = ++published
    for (const { id } of app.connections()) told.get(id)!.sent.push(number)
    app.api.news.publish.all('told', number)
  }
  const check = (what: string, { code, data }: Failure): void => {
    const runs = ran.get(what) ?? 0
    assert(['CONNECTION_LOST', 'TIMEOUT', 'NOT_CONNECTED'].includes(code), code)
    assert(runs <= 1)
    if (code === 'NOT_CONNECTED' || data?.accepted === false) assert.equal(runs, 0)
    if (data?.accepted === true) assert.equal(runs, 1)
  }
  const call = (client: CourseClient, what: string): Promise<void> =>
    client.api.rpc.echo(what, pick(8)).then(
      value => {
        assert.equal(value, what)
        assert.equal(ran.get(what), 1)
      },
      (error: Failure) => check(what, error),
    )
  const stream = async (client: CourseClient, what: string, to: number): Promise<void> => {
    const items: number[] = []
    try {
      for await (const item of client.api.rpc.count(what, to)) items.push(item)
      assert.deepEqual(
        items,
        Array.from({ length: to }, (_, n) => n),
      )
      assert.equal(ran.get(what), 1)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error) || error instanceof assert.AssertionError) throw error
      assert.deepEqual(
        items,
        items.map((_, n) => n),
      )
      check(what, error as unknown as Failure)
    }
  }

  for (const client of clients) begin(client)
  for (let step = 0; step < 25; step++) {
    const client = clients[pick(2)]!
    const way = pick(5)
    const what = `${name}.${step}`
    world.shake?.()
    if (client.connectionId === undefined || way === 0) publish()
    else {
      const outcome = way < 4 ? call(client, what) : stream(client, what, 1 + pick(8))
      // It is looked at when all are over, which says of which seed it is.
      outcome.catch(() => {})
      outcomes.push(outcome)
    }
    await advance(pick(4) === 0 ? pick(4000) : pick(150))
  }
  world.calm()
  await until(Promise.all(outcomes))
  await world.settle(clients)
  for (const client of clients) assert.equal(client.status, 'connected')
  for (const client of clients) assert.equal(await until(client.api.rpc.echo('last', 0)), 'last')
  // Nor was one run again after its end.
  for (const [what, runs] of ran) if (what.startsWith(`${name}.`)) assert.equal(runs, 1)
  const open = new Set(clients.map(({ connectionId }) => connectionId))
  for (const [id, { sent, heard }] of told) {
    assert.deepEqual(heard, open.has(id) ? sent : sent.slice(0, heard.length))
  }
  return resumed
}
