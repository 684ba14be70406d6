import { afterEach, describe, expect, test } from 'vitest'
import { Server, type ServerOptions } from '../../src/index.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { faultLink, type TestKit, testServer } from '../../src/testing/index.js'
import { seededRandom } from '../../src/testing/seeded-random.js'
import { startServer } from './wire-support.js'

type Events = { told: [number, string]; plain: [number] }

const HISTORY = { size: 5000 }
let kit: Pick<TestKit<Server>, 'stop'>

afterEach(() => kit.stop())

async function start(options: Partial<ServerOptions> = {}, recover = {}) {
  const made = await testServer(transport =>
    new Server({ transport, env: 'test', ...options })
      .service('feed', pubsub<Events>({ channels: { 'kept:*': { history: HISTORY, ...recover } } }))
      .service('rpc', rpc({ echo: (_ctx, value: number) => value })),
  )
  kit = made as never
  const faults = faultLink()
  const client = await made.connect({ services: { feed: channelsClient }, faults })
  const heard: number[] = []
  const plain: number[] = []
  const told: unknown[] = []
  const { feed } = client.api
  feed.on('told', value => heard.push(value))
  feed.on('plain', value => plain.push(value))
  feed.onrecovered((_channel, how) => told.push(how))
  await made.until(Promise.all([feed.subscribe('kept:1'), feed.subscribe('other')]))
  const cut = async () => {
    faults.cut()
    await made.settle()
  }
  return { ...made, app: made.app, client, faults, heard, plain, told, cut }
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1)

describe('a client that is away while much is published', () => {
  test('resumes and hears 5 MiB of a channel with a history, though 64 KiB are kept for it', async () => {
    const made = await start({ resume: { bytes: 64 * 1024 } })
    const { app, client, heard, plain, told } = made
    const [connection] = app.connections()
    await made.cut()
    const text = 'x'.repeat(8192)
    for (let value = 1; value <= 640; value++) {
      await app.api.feed.publish.acknowledged('kept:1', 'told', value, text)
    }
    app.api.feed.publish.channel('other', 'plain', 1)
    await made.advance(10_000)
    expect(app.statistics().connections.resumed).toBe(1)
    expect(app.connections()).toEqual([connection])
    await app.api.feed.publish.acknowledged('kept:1', 'told', 641, '')
    await made.settle()
    expect(heard).toEqual(upTo(641))
    expect(plain).toEqual([1])
    expect(told).toEqual([])
    expect(await made.until(client.api.rpc.echo(7))).toBe(7)
  })

  test('loses its connection past the bytes of a channel that does not recover', async () => {
    const made = await start({ resume: { bytes: 64 * 1024 } }, { recover: false })
    await made.cut()
    const text = 'x'.repeat(8192)
    for (let value = 1; value <= 20; value++) {
      await made.app.api.feed.publish.acknowledged('kept:1', 'told', value, text)
    }
    await made.settle()
    expect(made.app.connections()).toEqual([])
  })

  test.each(upTo(8))('hears all once and in order, whenever links are cut: seed %i', async seed => {
    const next = seededRandom(seed)
    const pick = (below: number): number => Math.floor(next() * below)
    // A kilobyte a message, so that both bounds are met now and then.
    const made = await start({ resume: { bytes: 256 * 1024, window: 60_000 } }, { recover: { limit: 5000 } })
    made.faults.delay([0, 20])
    const text = 'x'.repeat(1024)
    let value = 0
    const published: Promise<unknown>[] = []
    for (let step = 0; step < 60; step++) {
      const what = pick(10)
      if (what < 5) {
        for (let left = pick(15); left > 0; left--) {
          published.push(made.app.api.feed.publish.acknowledged('kept:1', 'told', ++value, text))
        }
      } else if (what < 7) made.faults.cut()
      else if (what < 8) made.faults.takeOver()
      else await made.advance(pick(400))
    }
    await made.until(Promise.all(published))
    await made.advance(120_000)
    await made.app.api.feed.publish.acknowledged('kept:1', 'told', ++value, text)
    await made.advance(1000)
    expect(made.heard).toEqual(upTo(value))
    expect(made.app.statistics().connections.resumed).toBeGreaterThan(0)
    expect(made.told.filter(how => !(how as { recovered: boolean }).recovered)).toEqual([])
  })
})

describe('the bytes that are replayed', () => {
  test('are those of what is sent again and of what has waited, and of nothing else', async () => {
    const made = await startServer()
    kit = made.kit as never
    const replayed = (): number => made.kit.app.statistics().bytes.replayed
    const one = await made.open()
    await one.send([1, 1, 1, ['echo', 'a']])
    await one.lose()
    await one.resume()
    expect(replayed()).toBe(0)
    // Sent, and lost with the link.
    made.own.send(one.cid, 'sent')
    await made.kit.settle()
    one.client.frames.length = 0
    await one.lose()
    made.own.send(one.cid, 'waited')
    await one.resume()
    const frames = one.got.slice(-2)
    expect(frames.map(frame => frame.at(-1))).toEqual(['sent', 'waited'])
    const bytes = frames.reduce((sum, frame) => sum + JSON.stringify(frame).length, 0)
    expect(replayed()).toBe(bytes)
    made.own.send(one.cid, 'after')
    await one.take()
    expect(replayed()).toBe(bytes)
  })
})
