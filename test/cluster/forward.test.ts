import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { sse as sseClient } from '../../src/client/sse.js'
import type { Bus } from '../../src/engines/bus.js'
import type { Engine } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import { seededRandom } from '../../src/testing/seeded-random.js'
import { type SseOptions, sse } from '../../src/transports/sse.js'
import { ask, post, RawStream } from '../transports/sse-client.js'
import { balancer } from './forward-support.js'
import { knows } from './support.js'

/** A server with SSE on a free port, and the numbers that its clients have sent. */
async function startNode(engine: Engine, options: SseOptions = {}) {
  const heard: number[] = []
  const app = new Server({
    transport: sse({ port: 0, host: '127.0.0.1', ...options }),
    engine,
    env: 'test',
    log: { debug() {}, info() {}, warn() {}, error() {} },
  }).service('rpc', rpc({ count: (_ctx, number: number) => heard.push(number) && number }))
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  const { url, port } = app.address()!
  return { app, heard, url, port: port! }
}

/** Two servers of a cluster. */
async function startPair(options: SseOptions = {}) {
  const engine = memory()
  onTestFinished(() => engine.close())
  const [one, other] = [await startNode(engine, options), await startNode(engine, options)]
  await Promise.all([knows(one.app, 1), knows(other.app, 1)])
  return { one, other, engine }
}

/** Links that were ever welcomed, over several servers. */
function links(...nodes: readonly { readonly app: Pick<Server, 'statistics'> }[]): number {
  const counts = nodes.map(({ app }) => app.statistics().connections)
  return counts.reduce((sum, { welcomed, resumed }) => sum + welcomed + resumed, 0)
}

/** Calls one after another, several at once on the way, through a balancer. */
async function countThrough(url: string, heard: () => readonly number[], total: number) {
  const client = createClient<Awaited<ReturnType<typeof startNode>>['app']>({ url, transport: sseClient() })
  onTestFinished(() => client.close())
  await client.connect()
  const answers: number[] = []
  for (let number = 0; number < total; ) {
    const wave = Array.from({ length: 1 + (number % 3) }, () => client.api.rpc.count(number++))
    answers.push(...(await Promise.all(wave)))
  }
  const expected = answers.map((_, index) => index)
  expect(answers).toEqual(expected)
  expect(heard()).toEqual(expected)
}

describe('SSE without sticky sessions', () => {
  test('carries every frame once and in order, whichever server a POST comes to', async () => {
    const { one, other } = await startPair()
    const { url } = await balancer([one.port, other.port])
    await countThrough(url, () => [...one.heard, ...other.heard], 30)
    expect(links(one, other)).toBe(1)
  })

  test('does so over one link with POSTs that are refused, unanswered or delivered twice', async () => {
    const { one, other } = await startPair()
    const random = seededRandom(20261129)
    let calm = 0
    const faulty = await balancer([one.port, other.port], () => {
      // No more in a row than the client repeats.
      if (random() < 0.5 || calm++ % 4 === 3) return 'none'
      return (['refused', 'unanswered', 'twice'] as const)[Math.floor(random() * 3)]!
    })
    await countThrough(faulty.url, () => [...one.heard, ...other.heard], 24)
    expect(new Set(faulty.faults)).toEqual(new Set(['none', 'refused', 'unanswered', 'twice']))
    expect(links(one, other)).toBe(1)
  })

  test('works between two transports of one server', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    const heard: number[] = []
    const transports = [sse({ port: 0, host: '127.0.0.1' }), sse({ port: 0, host: '127.0.0.1' })]
    const app = new Server({
      transport: transports,
      engine,
      env: 'test',
      log: { debug() {}, info() {}, warn() {}, error() {} },
    })
    app.service('rpc', rpc({ count: (_ctx, number: number) => heard.push(number) && number }))
    await app.start()
    onTestFinished(() => app.stop({ drain: 0 }))
    const { url } = await balancer(transports.map(transport => transport.address()!.port!))
    await countThrough(url, () => heard, 12)
  })
})

describe('a POST that comes to another server', () => {
  /** The link's address on the server that does not have it. */
  async function strayed(options: SseOptions = {}) {
    const pair = await startPair(options)
    const stream = await RawStream.open(pair.one.url)
    onTestFinished(() => void stream.request.destroy())
    const link = new URL(stream.postUrl).searchParams.get('link')!
    const at = (from: number | string, name = link) => `${pair.other.url}?link=${name}&from=${from}`
    return { ...pair, stream, link, at }
  }

  test('is 404 for a link that its server does not have, and for a secret that is not its own', async () => {
    const { at, link, one } = await strayed()
    const changed = link.slice(0, -1) + (link.endsWith('A') ? 'B' : 'A')
    expect((await post(at(0, changed), ['t1'])).status).toBe(404)
    expect((await post(at(0, `${one.app.cluster.id}.x`), ['t1'])).status).toBe(404)
  })

  test('is 410 with NO_RESPONDER once its server has gone, and for servers that never were', async () => {
    const { at, one } = await strayed()
    await one.app.stop({ drain: 0 })
    for (const url of [at(0), at(0, 'AAAAAAAAAAAA.x'), at(0, '../../x.x')]) {
      expect(await post(url, ['t1'])).toMatchObject({
        status: 410,
        body: expect.stringMatching(/^NO_RESPONDER: /),
      })
    }
  })

  test('is 503 when the engine fails: nobody knows whether it arrived, and it may be repeated', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    let isFailing = false
    const bus: Bus = {
      broadcast: bytes => engine.bus.broadcast(bytes),
      listen: (node, handler) => engine.bus.listen(node, handler),
      send: (node, bytes) =>
        isFailing
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away'))
          : engine.bus.send(node, bytes),
    }
    const [one, other] = [await startNode(engine), await startNode({ ...engine, bus })]
    const stream = await RawStream.open(one.url)
    onTestFinished(() => void stream.request.destroy())
    const { search } = new URL(stream.postUrl)
    isFailing = true
    const answer = await post(`${other.url}${search}&from=0`, [])
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
    expect(answer.body).toMatch(/^ENGINE_UNAVAILABLE: /)
    isFailing = false
    expect((await post(`${other.url}${search}&from=0`, [])).status).toBe(204)
  })

  test('is 413 before it is handed on when it is too large, and its link stays', async () => {
    const { at, stream } = await strayed({ maxPayload: 100 })
    const asked = await ask(at(0), { method: 'POST', body: 'x'.repeat(700) })
    expect(asked.status).toBe(413)
    expect((await post(at(0), [])).status).toBe(204)
    // What only its own server can see ends it.
    expect((await post(at(0), ['t'.repeat(200)])).status).toBe(413)
    expect(await stream.ended()).toContain('["c1009 ')
  })

  test('has to say which frame it begins with', async () => {
    const { at, other, link } = await strayed()
    expect((await post(`${other.url}?link=${link}`, ['t1'])).status).toBe(404)
    for (const from of ['', '-1', '1.5', '0x1', '9'.repeat(16)]) {
      expect((await post(at(from), ['t1'])).status).toBe(400)
    }
  })
})
