import assert from 'node:assert/strict'
import fc from 'fast-check'
import { answerCalls } from '../../src/client/answer-calls.js'
import type { Client } from '../../src/client/client.js'
import { Server, type ServerOptions } from '../../src/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceClient, ServiceServer } from '../../src/services/service.js'

/** A step of a course: `ask` is a call that the server makes, `push` a message of a client. */
export interface Step {
  readonly what: 'publish' | 'push' | 'call' | 'ask' | 'stream'
  /** Which of the clients does it; of `publish` and `ask` nobody. */
  readonly client: number
  /** Turns that the handler waits, or items of the stream but one. */
  readonly size: number
  /** Milliseconds until the next step. */
  readonly wait: number
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('publish', 'push', 'push', 'call', 'call', 'call', 'ask', 'stream'),
  client: fc.nat(1),
  size: fc.nat(7),
  wait: fc.oneof({ weight: 3, arbitrary: fc.nat(149) }, { weight: 1, arbitrary: fc.nat(3999) }),
})

/** The steps of a course. */
export const steps = fc.array(step, { maxLength: 60, size: 'max' })

/** A call that the server makes of the connection `id`. */
interface Asked {
  readonly id: string
  readonly name: string
  readonly turns: number
}

/** The client half of a service whose clients push numbers, and are called. */
export const talk = {
  client: (service: ServiceClient) => ({
    push: (number: number) => void service.send(number),
    answer: (handler: (asked: Asked) => unknown) => answerCalls(service, asked => handler(asked as Asked)),
  }),
}

/** The server of a course. @param pause waits so many milliseconds of the course's time */
export function courseServer(options: ServerOptions, pause: (ms: number) => Promise<unknown>) {
  const ran = new Map<string, number>()
  const pushed = new Map<string, number[]>()
  const run = (name: string) => void ran.set(name, (ran.get(name) ?? 0) + 1)
  const echo = async (name: string, turns: number): Promise<string> => {
    run(name)
    if (turns > 0) await pause(turns * 100)
    return name
  }
  const app = new Server({ env: 'test', ...options })
    .service(
      'rpc',
      rpc({
        echo: (_ctx, name: string, turns: number) => echo(name, turns),
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
    .service('talk', {
      ...talk,
      server(server: ServiceServer) {
        server.onopen = ({ id }) => void pushed.set(id, [])
        server.onmessage = (number, { connectionId }) => void pushed.get(connectionId)!.push(number as number)
        return { ask: (asked: Asked) => server.callClient(asked.id, asked) }
      },
    })
  return { app, ran, pushed, echo }
}

export type CourseServer = ReturnType<typeof courseServer>
export type CourseClient = Client<CourseServer['app']>

/** Where a course takes place: its server has been started. */
export interface World extends CourseServer {
  /** Makes a client behind faults, which has the half `talk`. */
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

/** What went over a connection, each way, as its sender has it. */
interface Sent {
  readonly published: number[]
  readonly heard: number[]
  readonly pushed: number[]
}

/**
 * Two clients that push, call, stream and listen through faults, while the server publishes and calls them.
 *
 * Resolves to how often one was resumed. Rejects unless everything arrived exactly once and in order, or was told to
 * have failed.
 */
export async function runCourse(world: World, name: string, course: readonly Step[]): Promise<number> {
  const { app, ran, pushed, echo, advance, until } = world
  const sent = new Map<string, Sent>()
  app.events.on('client:connect', (id: string) => sent.set(id, { published: [], heard: [], pushed: [] }))
  const clients = [world.client(), world.client()]
  const outcomes: Promise<void>[] = []
  /** Connections that a call was lost with. */
  const lost = new Set<string>()
  let resumed = 0
  let published = 0

  const begin = (client: CourseClient): void => {
    let id: string | undefined
    client.on('status', status => {
      if (status !== 'connected') return
      if (id === client.connectionId) resumed++
      if (id === undefined) {
        client.api.news.on('told', n => void sent.get(client.connectionId!)!.heard.push(n))
        client.api.talk.answer(({ id, name, turns }) => {
          assert.equal(id, client.connectionId)
          return echo(name, turns)
        })
      }
      id = client.connectionId
    })
    void client.connect().catch(() => {})
  }
  const publish = (): void => {
    const number = ++published
    for (const { id } of app.connections()) sent.get(id)!.published.push(number)
    app.api.news.publish.all('told', number)
  }
  const push = (client: CourseClient, number: number): void => {
    try {
      client.api.talk.push(number)
      sent.get(client.connectionId!)!.pushed.push(number)
    } catch (error) {
      assert.equal((error as Failure).code, 'NOT_CONNECTED')
    }
  }
  const check = (what: string, { code, data }: Failure): void => {
    const runs = ran.get(what) ?? 0
    assert(['CONNECTION_LOST', 'TIMEOUT', 'NOT_CONNECTED'].includes(code), code)
    assert(runs <= 1)
    if (code === 'NOT_CONNECTED' || data?.accepted === false) assert.equal(runs, 0)
    if (data?.accepted === true) assert.equal(runs, 1)
  }
  const answered = (what: string, value: unknown): void => {
    assert.equal(value, what)
    assert.equal(ran.get(what), 1)
  }
  const call = (client: CourseClient, what: string, turns: number): Promise<void> =>
    client.api.rpc.echo(what, turns).then(
      value => answered(what, value),
      (error: Failure) => check(what, error),
    )
  const ask = (id: string, what: string, turns: number): Promise<void> =>
    app.api.talk.ask({ id, name: what, turns }).then(
      value => answered(what, value),
      (error: Failure) => {
        check(what, error)
        if (error.code !== 'TIMEOUT') lost.add(id)
      },
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
  for (const [index, { what, client: which, size, wait }] of course.entries()) {
    const client = clients[which]!
    const id = `${name}.${index}`
    const begun: Promise<void>[] = []
    world.shake?.()
    if (what === 'ask') for (const to of app.connections()) begun.push(ask(to.id, `${id}.${to.id}`, size))
    else if (client.connectionId === undefined || what === 'publish') publish()
    else if (what === 'push') push(client, index)
    else begun.push(what === 'call' ? call(client, id, size) : stream(client, id, size + 1))
    // It is looked at when all are over, which says of which seed it is.
    for (const outcome of begun) outcome.catch(() => {})
    outcomes.push(...begun)
    await advance(wait)
  }
  world.calm()
  await until(Promise.all(outcomes))
  await world.settle(clients)
  for (const client of clients) assert.equal(client.status, 'connected')
  for (const client of clients) assert.equal(await until(client.api.rpc.echo('last', 0)), 'last')
  // Nor was one run again after its end.
  for (const [what, runs] of ran) if (what.startsWith(`${name}.`)) assert.equal(runs, 1)
  const open = new Set(clients.map(({ connectionId }) => connectionId))
  for (const id of lost) assert(!open.has(id))
  for (const [id, way] of sent) {
    const arrived = pushed.get(id)!
    assert.deepEqual(way.heard, open.has(id) ? way.published : way.published.slice(0, way.heard.length))
    assert.deepEqual(arrived, open.has(id) ? way.pushed : way.pushed.slice(0, arrived.length))
  }
  return resumed
}
