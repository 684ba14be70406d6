import { describe, expect, onTestFinished, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import type { Server } from '../../src/server.js'
import type { ServiceServer } from '../../src/services/service.js'
import { faultLink } from '../../src/testing/fault-link.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { seededRandom } from '../../src/testing/seeded-random.js'
import { virtualTime } from '../../src/testing/virtual-time.js'
import type { MemoryTransport } from '../../src/transports/memory.js'
import { movingClient, movingServer, only, type Runs, slowBus, switched } from './handover-support.js'

/** Servers of one cluster, and a client of the first, whose next link goes wherever it is sent. */
async function fleet(count = 3, delay?: () => number, more: (app: Server) => unknown = () => undefined) {
  const time = virtualTime()
  onTestFinished(() => time.restore())
  const engine = memory()
  const runs: Runs = new Map()
  const servers = Array.from({ length: count }, () =>
    movingServer(delay === undefined ? engine : slowBus(engine, delay), runs),
  )
  for (const { app } of servers) {
    more(app as never)
    await time.until(app.start())
  }
  const { state, transport } = switched(servers[0]!.transport)
  const faults = faultLink({ seed: 1, delay: 0 })
  const client = movingClient(faults.client(transport))
  await time.until(client.connect())
  const heard: unknown[] = []
  client.api.news.on('told', number => heard.push(number))
  onTestFinished(async () => {
    client.close()
    faults.close()
    await time.until(Promise.all(servers.map(({ app }) => app.stop({ drain: 0 }))))
  })
  /** Loses the link, and has the client come to another server. */
  const go = async (to: number, from: number) => {
    state.target = servers[to]!.transport
    cut(servers[from]!.app)
    await time.advance(2000)
    await time.settle()
  }
  return { time, engine, servers, client, heard, runs, state, faults, go, id: client.connectionId! }
}

describe('a client that comes to another server', () => {
  test('goes on there with its connection, which no server has lost', async () => {
    const { time, servers, client, go, id, heard } = await fleet()
    await time.until(client.api.rpc.remember('color', 'blue'))
    await time.until(client.api.rpc.join('den'))
    const events: string[] = []
    servers[0]!.app.events.on('client:disconnect', one => events.push(`left ${one === id}`))
    servers[1]!.app.events.on('client:connect', one => events.push(`came ${one === id}`))
    await go(1, 0)
    expect(client.connectionId).toBe(id)
    expect(await time.until(client.api.rpc.whoami())).toEqual({ id, data: { color: 'blue' }, rooms: ['den'] })
    expect(events.sort()).toEqual(['came true', 'left true'])
    expect(servers.map(({ app }) => app.statistics().connections.open)).toEqual([0, 1, 0])
    // Its token names the server that has it now.
    await go(2, 1)
    await go(0, 2)
    expect(client.connectionId).toBe(id)
    servers[1]!.app.api.news.publish.connection(id, 'told', 1)
    await time.settle()
    expect(heard).toEqual([1])
    expect(servers.map(({ app }) => app.statistics().connections.open)).toEqual([1, 0, 0])
  })

  test('goes on while the server that has it takes its link for a good one', async () => {
    const { time, servers, state, client, id } = await fleet(2)
    state.target = servers[1]!.transport
    // Only the client knows that the link is broken.
    const { attachment } = only(servers[0]!.app) as unknown as Attached
    const { closed } = attachment
    attachment.closed = () => undefined
    attachment.link.terminate()
    expect(closed).toBeTypeOf('function')
    await time.advance(2000)
    expect(client.status).toBe('connected')
    expect([client.connectionId, servers[0]!.app.connections()]).toEqual([id, []])
  })

  test.each([1, 2, 3, 4])(
    'hears each message once, whichever server it was sent by, and when (seed %i)',
    async seed => {
      const random = seededRandom(seed)
      const pick = (below: number) => Math.floor(random() * below)
      const it = await fleet(3, () => pick(4) * 5)
      const { time, servers, client, heard, id } = it
      await time.until(client.api.news.subscribe('plain'))
      await time.until(client.api.rpc.join('den'))
      await time.advance(500)
      const session = sessionOf(servers)
      const sent: number[][] = [[], [], []]
      let number = 0
      /** One of each kind, by one server. */
      const publish = (at: number) => {
        const { publish, to } = servers[at]!.app.api.news
        const next = () => {
          sent[at]!.push(++number)
          return number
        }
        publish.connection(id, 'told', next())
        publish.all('told', next())
        publish.channel('plain', 'told', next())
        to('den').emit('told', next())
        publish.session(session, 'told', next())
      }
      let at = 0
      for (let move = 0; move < 4; move++) {
        const to = (at + 1 + pick(2)) % 3
        it.state.target = servers[to]!.transport
        publish(pick(3))
        cut(servers[at]!.app)
        for (let turn = 0; turn < 80; turn++) {
          if (pick(2) === 0) publish(pick(3))
          await time.advance(pick(8))
        }
        await time.advance(1000)
        await time.settle()
        expect([client.connectionId, only(servers[to]!.app).id]).toEqual([id, id])
        at = to
      }
      for (const own of sent) {
        const mine = new Set(own)
        expect(heard.filter(one => mine.has(one as number))).toEqual(own)
      }
      expect(heard.length).toBe(number)
    },
  )

  test('goes on with the answer of a call that ends in time, and not while one runs on', async () => {
    const { time, servers, client, go, id, runs } = await fleet(2)
    const short = client.api.rpc.echo('short', 1500)
    await time.settle()
    await go(1, 0)
    await time.advance(2000)
    expect(await time.until(short)).toBe('short')
    expect([client.connectionId, runs.get('short')]).toEqual([id, 1])
    const long = client.api.rpc.echo('long', 60_000).catch(({ code }) => code)
    await time.settle()
    await go(0, 1)
    await time.advance(5000)
    expect(await time.until(long)).toBe('CONNECTION_LOST')
    expect(client.status).toBe('connected')
    expect(client.connectionId).not.toBe(id)
    expect(servers.map(({ app }) => app.statistics().connections.open)).toEqual([1, 0])
  })

  test('begins anew, as unknown, when the server that had it was killed', async () => {
    const { engine, servers, client, go, id } = await fleet(2)
    const send = engine.bus!.send.bind(engine.bus)
    const node = servers[0]!.app.cluster.id
    engine.bus!.send = (to, bytes) => (to.endsWith(node) ? Promise.resolve(false) : send(to, bytes))
    await go(1, 0)
    expect(client.status).toBe('connected')
    expect(client.connectionId).not.toBe(id)
  })

  test('goes on at the server that it left when the one that it came to says nothing of it', async () => {
    const { time, engine, servers, client, heard, state, faults, go, id } = await fleet(3)
    const send = engine.bus!.send.bind(engine.bus)
    const lost = servers[1]!.app.cluster.id
    // What it is answered does not arrive.
    engine.bus!.send = (to, bytes) => (to.endsWith(lost) ? Promise.resolve(true) : send(to, bytes))
    await go(1, 0)
    expect(servers.flatMap(({ app }) => app.connections())).toEqual([])
    servers[2]!.app.api.news.publish.connection(id, 'told', 1)
    await time.advance(4000)
    expect(only(servers[0]!.app).id).toBe(id)
    servers[2]!.app.api.news.publish.connection(id, 'told', 2)
    state.target = servers[2]!.transport
    faults.cut()
    await time.advance(2000)
    expect([client.status, client.connectionId]).toEqual(['connected', id])
    expect(heard).toEqual([1, 2])
  })
})

describe('what goes along', () => {
  test('is its topics, by the numbers that its client knows, whatever they mean there', async () => {
    const { time, servers, client, heard, go } = await fleet(2)
    const names = ['a', 'b', 'c', 'x', 'y']
    const other = movingClient(memoryClient(servers[1]!.transport))
    await time.until(other.connect())
    for (const name of ['x', 'y']) await time.until(other.api.news.subscribe(name))
    for (const name of ['a', 'b']) await time.until(client.api.news.subscribe(name))
    await go(1, 0)
    for (const name of ['x', 'c']) await time.until(client.api.news.subscribe(name))
    const publishAll = async (at: number) => {
      heard.length = 0
      for (const name of names) servers[at]!.app.api.news.publish.channel(name, 'told', names.indexOf(name))
      await time.settle()
    }
    await publishAll(0)
    expect(heard).toEqual([0, 1, 2, 3])
    client.api.news.unsubscribe('a')
    client.api.news.unsubscribe('c')
    await time.settle()
    await publishAll(1)
    expect(heard).toEqual([1, 3])
    const { nodes } = await time.until(servers[0]!.app.cluster.channels())
    const counts = servers.map(({ app }) => nodes.get(app.cluster.id)?.news)
    expect(counts).toEqual([undefined, { b: 1, x: 2, y: 1 }])
    other.close()
  })

  test('is what services give, at once or later; the others begin anew', async () => {
    const told: string[] = []
    const service = (name: string, move: (() => unknown) | undefined) => ({
      type: 'custom',
      server(server: ServiceServer) {
        const note = (hook: string) => (_: unknown, state?: unknown) => {
          if (hook !== 'open' || told.length > 0) told.push(`${name} ${hook} ${JSON.stringify(state) ?? ''}`)
        }
        Object.assign(server, {
          onopen: note('open'),
          onclose: note('close'),
          onmove: move,
          onmoved: note('moved'),
          onarrive: note('arrive'),
        })
        return undefined
      },
    })
    const fails = () => {
      throw new Error('no')
    }
    const { go, client, id } = await fleet(2, undefined, app =>
      app
        .service('now', service('now', () => ({ at: 1 })) as never)
        .service('later', service('later', async () => 'later') as never)
        .service('fails', service('fails', fails) as never)
        .service('never', service('never', () => new Promise(() => undefined)) as never)
        .service('plain', service('plain', undefined) as never),
    )
    told.push('-')
    await go(1, 0)
    expect(client.connectionId).toBe(id)
    expect(told.sort()).toEqual([
      '-',
      'fails close ',
      'fails open ',
      'later arrive "later"',
      'later moved ',
      'never close ',
      'never open ',
      'now arrive {"at":1}',
      'now moved ',
      'plain close ',
      'plain open ',
    ])
  })

  test('goes to one of two servers that ask at once: that of the later attempt', async () => {
    const { time, servers, client, id } = await fleet(3)
    const { token, session } = await welcomed(servers[0]!.transport, { v: 1, caps: ['resume'] })
    const ask = (at: number, attempt: number) => {
      const resume = { token, try: attempt, recv: 0 }
      return welcomed(servers[at]!.transport, { v: 1, caps: ['resume'], session, resume })
    }
    const told = await time.until(Promise.all([ask(1, 1), ask(2, 2)]))
    expect(told.map(({ resumed }) => resumed)).toEqual([false, true])
    expect(await time.until(ask(1, 2))).toMatchObject({ resumed: false, reason: 'superseded' })
    // Who shows the token of before is led on.
    expect(await time.until(ask(1, 3))).toMatchObject({ resumed: true })
    expect(client.connectionId).toBe(id)
  })
})

interface Welcome {
  readonly token: string
  readonly session: string
  readonly resumed: boolean
  readonly reason?: string
}

/** What a server says to a hello that is written by hand. */
async function welcomed(transport: MemoryTransport, hello: object): Promise<Welcome> {
  const link = await transport.connect({ protocols: ['ss1.json'] })
  return new Promise(resolve => {
    link.listen({ frame: frame => resolve(JSON.parse(String(frame))[1]), closed() {} })
    link.send(JSON.stringify([16, hello]))
  })
}

interface Attached {
  readonly attachment: { link: { terminate(): void }; closed(code: number, reason: string): void }
}

/** Breaks the link of a server's one connection as networks do. */
function cut(app: Parameters<typeof only>[0]): void {
  ;(only(app) as unknown as Attached).attachment.link.terminate()
}

/** The session of the first server's one connection. */
function sessionOf(servers: readonly ReturnType<typeof movingServer>[]): string {
  return (only(servers[0]!.app) as unknown as { liveSession: { id: string } }).liveSession.id
}
