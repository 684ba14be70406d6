/** Subscriptions that the server makes, beside those of clients, whatever is lost and when. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { ChannelsNode, Peer, slow } from './channels-support.js'

const USER = { user: 'ann' }
const channel = fc.constantFrom('kept', 'closed', 'live')
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), channel }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pump' as const), frames: fc.constantFrom(1, 2, 5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stand' as const), channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fall' as const), channel }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('subscribe' as const), channel }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
)

test('what the server subscribes is heard in order, nothing twice, and all of it while it stands', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }),
      async (steps, delays) => {
        let delay = 0
        const engine = slow(memory(), () => delays[delay++ % delays.length]!)
        const node = new ChannelsNode(engine, {
          channels: {
            kept: { history: { size: 1000 } },
            closed: { history: { size: 1000 }, canSubscribe: () => false },
          },
        })
        const peer = new Peer(channelsClient)
        const heard: Record<string, number[]> = { kept: [], closed: [], live: [] }
        peer.api.on('said', (name, value) => heard[name]!.push(value))
        peer.connect(node)
        let published = 0
        const publish = async (name: string) => {
          node.api.publish.channel(name, 'said', name, ++published)
          await new Promise(setImmediate)
          return published
        }
        const own = new Map<string, number>()
        for (const it of steps) {
          if (it.do === 'publish') await publish(it.channel)
          else if (it.do === 'pump') peer.pump(it.frames)
          else if (it.do === 'turn') await new Promise(setImmediate)
          else if (it.do === 'stand') node.api.subscribe(USER, it.channel).catch(() => undefined)
          else if (it.do === 'fall') node.api.unsubscribe(USER, it.channel)
          else if (it.do === 'drop') peer.drop()
          else if (it.do === 'connect') peer.connect(node)
          else if (it.do === 'subscribe') {
            const count = (change: number) => own.set(it.channel, (own.get(it.channel) ?? 0) + change)
            peer.api.subscribe(it.channel).then(
              () => count(1),
              () => undefined,
            )
          } else if ((own.get(it.channel) ?? 0) > 0) {
            own.set(it.channel, own.get(it.channel)! - 1)
            peer.api.unsubscribe(it.channel)
          }
        }
        const names = Object.keys(heard)
        const settle = async () => {
          for (let idle = 0; idle < 60; idle = peer.pump() ? 0 : idle + 1) await new Promise(setImmediate)
        }
        peer.connect(node)
        await settle()
        for (const name of names) await node.api.subscribe(USER, name)
        // The first of it begins it, the others follow.
        for (const name of names) {
          const last = [await publish(name), await publish(name)]
          await settle()
          last.push(await publish(name))
          await settle()
          expect(heard[name]!.slice(-3)).toEqual(last)
        }
        // It goes on where it was, over the loss of a connection.
        peer.drop()
        const missed = [await publish('kept'), await publish('closed')]
        peer.connect(node)
        await settle()
        expect([heard.kept!.at(-1), heard.closed!.at(-1)]).toEqual(missed)
        for (const name of names) {
          expect(heard[name]).toEqual([...new Set(heard[name])].sort((a, b) => a - b))
          node.api.unsubscribe(USER, name)
          peer.api.unsubscribe(name)
        }
        await settle()
        const before = heard.closed!.length
        await publish('closed')
        await settle()
        expect(heard.closed).toHaveLength(before)
        node.server.onstop?.()
        peer.drop()
      },
    ),
    { numRuns: 80 },
  )
}, 30_000)
