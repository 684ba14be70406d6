import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import type { ChannelOptions } from '../../src/services/pubsub/index.js'
import { ChannelsNode, Peer } from './channels-support.js'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

const turn = () => new Promise(setImmediate)

/** A node, and clients that have heard 0 and have gone. */
async function start(clients: number, options: ChannelOptions = { history: { size: 100 } }) {
  const engine = memory()
  const subscribed = vi.spyOn(engine.log, 'subscribe')
  const node = new ChannelsNode(engine, { channels: { '*': options } })
  const say = async (...values: number[]) => {
    for (const value of values) node.api.publish.channel('news', 'said', 'news', value)
    await turn()
  }
  const peers = Array.from({ length: clients }, () => new Peer(channelsClient))
  const all: Peer[] = []
  const settle = async () => {
    for (let quiet = 0; quiet < 5; quiet++) {
      await turn()
      for (const peer of all) if (peer.pump() || !peer.idle) quiet = -1
    }
  }
  const heard = peers.map(peer => {
    const list: number[] = []
    peer.api.on('said', (_channel, value) => list.push(value))
    return list
  })
  // One stays, so that the channel is there.
  const stays = new Peer(channelsClient)
  for (const peer of [stays, ...peers]) {
    all.push(peer)
    peer.connect(node)
    await peer.until(peer.api.subscribe('news'))
  }
  await say(0)
  await settle()
  const away = (...which: number[]): void => {
    for (const at of which) peers[at]!.drop()
  }
  away(...peers.keys())
  const reads = vi.spyOn(engine.log, 'history')
  /** The engine says that continuity was lost. */
  const end = async () => {
    const [, handler] = subscribed.mock.calls[0]!
    const { position } = await engine.log.history(subscribed.mock.calls[0]![0])
    handler.gap('lost', position)
    await settle()
  }
  const back = async (at: number) => {
    peers[at]!.connect(node)
    await settle()
  }
  return { say, back, away, end, heard, reads }
}

test('who comes back a little later is told what was read for the first, and what has come since', async () => {
  const { say, back, heard, reads } = await start(4)
  await say(1, 2)
  await back(0)
  expect(reads).toHaveBeenCalledTimes(1)
  await say(3)
  vi.advanceTimersByTime(900)
  await back(1)
  await say(4)
  vi.advanceTimersByTime(900)
  await back(2)
  expect(reads).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(1000)
  await back(3)
  expect(reads).toHaveBeenCalledTimes(2)
  expect(heard).toEqual(heard.map(() => [0, 1, 2, 3, 4]))
})

test('who was away for longer is read for, and then those who were', async () => {
  const { say, back, away, heard, reads } = await start(3)
  away(0)
  await say(1)
  await back(0)
  away(0)
  vi.advanceTimersByTime(1000)
  await say(2)
  // It has 1 already: what is read for it does not reach back to the others.
  await back(0)
  await back(1)
  await back(2)
  expect(reads).toHaveBeenCalledTimes(3)
  expect(heard).toEqual(heard.map(() => [0, 1, 2]))
})

test('no more is kept than is recovered, and than goes into an answer', async () => {
  const { say, back, heard, reads } = await start(3, { history: { size: 100 }, recover: { limit: 3 } })
  await say(1)
  await back(0)
  await say(2, 3, 4)
  // Its place is before what is kept: it is read for, and told that there is too much.
  await back(1)
  expect(reads).toHaveBeenCalledTimes(2)
  expect(heard[0]).toEqual([0, 1, 2, 3, 4])
  expect(heard[1]).toEqual([0])
})

test('nothing of an ended run is told', async () => {
  const { say, back, heard, reads, end } = await start(2)
  await say(1)
  await back(0)
  await end()
  const before = reads.mock.calls.length
  await back(1)
  expect(reads.mock.calls.length).toBeGreaterThan(before)
  expect(heard[1]).toEqual([0, 1])
})
