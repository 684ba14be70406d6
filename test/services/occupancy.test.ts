import { expect, test } from 'vitest'
import { LEASE, LINGER, occupancyCluster } from './occupancy-support.js'

test('one of several servers is told of a channel, from its first subscriber to its last', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  const [ofA, ofB, second] = [await a.connect(), await b.connect(), await a.connect()]
  await time.until(ofA.api.chat.subscribe('news'))
  expect(await take()).toEqual(['a +news'])
  await time.until(ofB.api.chat.subscribe('news'))
  await time.until(second.api.chat.subscribe('news'))
  ofA.close()
  ofB.close()
  expect(await take(2 * LINGER)).toEqual([])
  second.close()
  expect(await take()).toEqual([])
  expect(await take(LINGER)).toEqual(['a -news'])
})

test('it passes to another server that still has subscribers', async () => {
  const { start, take, time } = occupancyCluster()
  const nodes = [await start('a'), await start('b'), await start('c')]
  const clients = []
  for (const node of nodes) {
    const client = await node.connect()
    for (const channel of ['news', 'kept:1']) await time.until(client.api.chat.subscribe(channel))
    clients.push(client)
  }
  expect(await take()).toEqual(['a +news', 'a +kept:1'])
  clients[0]!.api.chat.unsubscribe('news')
  expect(await take(LINGER)).toEqual(['a -news moved', 'b +news moved'])
  clients[1]!.close()
  expect(await take(LINGER)).toEqual(['b -news moved', 'c +news moved'])
  clients[0]!.close()
  expect(await take(LINGER)).toEqual(['a -kept:1 moved', 'c +kept:1 moved'])
  clients[2]!.close()
  expect(await take(LINGER)).toEqual(['c -news', 'c -kept:1'])
})

test('a server that stops or dies leaves its channels to those that have them too', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b, c] = [await start('a'), await start('b'), await start('c')]
  for (const node of [a, b, c]) {
    const client = await node.connect()
    await time.until(client.api.chat.subscribe('news'))
  }
  expect(await take()).toEqual(['a +news'])
  a.cut()
  expect(await take()).toEqual([])
  await time.advance(2 * LEASE)
  expect(await take()).toEqual(['b +news moved'])
  // It was taken for dead, and was not: it is told so when it is back.
  a.heal()
  await time.advance(2 * LEASE)
  expect(await take()).toEqual(['a -news moved'])
  await b.stop()
  await time.settle()
  expect((await take()).at(-1)).toBe('c +news moved')
})

test('what changes while the engine is away is told when it is back', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  const [ofA, ofB] = [await a.connect(), await b.connect()]
  await time.until(ofA.api.chat.subscribe('before'))
  expect(await take()).toEqual(['a +before'])
  a.state.isCut = true
  await time.until(ofA.api.chat.subscribe('during'))
  ofA.api.chat.unsubscribe('before')
  await time.until(ofB.api.chat.subscribe('before'))
  expect(await take(LINGER)).toEqual([])
  expect(a.log.of('warn')).toContain('which channels are occupied is told the other servers later')
  a.state.isCut = false
  await time.advance(LEASE)
  expect((await take()).sort()).toEqual(['a +during', 'a -before moved', 'b +before moved'])
})

test('an answer that is lost leaves nobody told of a channel twice, or of none', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  const [ofA, ofB] = [await a.connect(), await b.connect()]
  a.state.losesReplies = true
  await time.until(ofA.api.chat.subscribe('news'))
  expect(await take()).toEqual([])
  await time.until(ofB.api.chat.subscribe('news'))
  a.state.losesReplies = false
  await time.advance(LEASE)
  expect(await take()).toEqual(['a +news'])
  // The news that it is the other one's now goes to nobody: that one finds it by itself.
  a.state.losesReplies = true
  ofA.close()
  await take(LINGER)
  a.state.losesReplies = false
  await time.advance(LEASE)
  const events = await take()
  expect(events.map(event => event.replace(' moved', '')).sort()).toEqual(['a -news', 'b +news'])
})

test('a channel that is left before the engine has answered is told of on no server', async () => {
  const { start, take, time } = occupancyCluster()
  const a = await start('a')
  const client = await a.connect()
  a.state.delay = 50
  await time.until(client.api.chat.subscribe('news'))
  client.api.chat.unsubscribe('news')
  await time.settle()
  await time.advance(200)
  expect(await take()).toEqual([])
})

test('a channel may pass to a server that has no answer yet', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  const [ofA, ofB] = [await a.connect(), await b.connect()]
  await time.until(ofA.api.chat.subscribe('news'))
  b.state.delay = 2 * LINGER
  await time.until(ofB.api.chat.subscribe('news'))
  ofA.close()
  expect(await take(LINGER)).toEqual(['a +news', 'a -news moved'])
  expect(await take(LINGER)).toEqual(['b +news moved'])
})

test('that a channel has passed here counts no more once it was left', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  const [ofA, ofB, again] = [await a.connect(), await b.connect(), await b.connect()]
  await time.until(ofA.api.chat.subscribe('news'))
  b.state.delay = 2 * LINGER
  b.state.losesReplies = true
  await time.until(ofB.api.chat.subscribe('news'))
  ofA.close()
  await time.advance(3 * LINGER)
  b.heal()
  ofB.close()
  const other = await a.connect()
  await time.until(other.api.chat.subscribe('news'))
  await time.advance(LEASE)
  await take()
  await time.until(again.api.chat.subscribe('news'))
  expect(await take()).toEqual([])
  expect([[...a.owned], [...b.owned]]).toEqual([['news'], []])
})

test('a page that is reloaded leaves its channels as they were', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  for (let times = 0; times < 3; times++) {
    const client = await a.connect()
    await time.until(client.api.chat.subscribe('news'))
    expect(await take(LINGER / 2)).toEqual(times === 0 ? ['a +news'] : [])
    client.close()
    await time.settle()
  }
  // What passes to a server that nobody is on just now is told when somebody is back.
  const ofB = await b.connect()
  await time.until(ofB.api.chat.subscribe('news'))
  await time.advance(LINGER / 4)
  ofB.close()
  expect(await take(0.85 * LINGER)).toEqual(['a -news moved'])
  const again = await b.connect()
  await time.until(again.api.chat.subscribe('news'))
  expect(await take()).toEqual(['b +news moved'])
})

test('all is entered anew when the engine has lost it', async () => {
  const { start, take, time, engine } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  for (const node of [a, b]) {
    const client = await node.connect()
    await time.until(client.api.chat.subscribe('news'))
  }
  expect(await take()).toEqual(['a +news'])
  for (const node of [a, b]) await engine.occupancy.evict('$channels/chat', node.app.cluster.id)
  await time.advance(LEASE)
  await take()
  expect([[...a.owned], [...b.owned]].flat()).toEqual(['news'])
  expect(await engine.occupancy.occupants('$channels/chat')).toHaveLength(2)
  expect([...a.faults, ...b.faults]).toEqual([])
})

test('whoever is in the engine and no server of the cluster is taken out', async () => {
  const { start, take, time, engine } = occupancyCluster()
  const group = '$channels/chat'
  await engine.occupancy.enter(group, 'a server of yesterday', ['news', 'more'])
  const a = await start('a')
  const client = await a.connect()
  await time.until(client.api.chat.subscribe('news'))
  expect(await take()).toEqual([])
  await time.advance(LEASE)
  expect(await take()).toEqual(['a +news moved'])
  expect(await engine.occupancy.occupants(group)).toEqual([{ member: a.app.cluster.id, places: 1, owned: 1 }])
})

test('servers that nobody listens on ask the engine nothing', async () => {
  const { start, time } = occupancyCluster()
  const [silent, b] = [await start('silent', false), await start('b')]
  const client = await silent.connect()
  await time.until(client.api.chat.subscribe('news'))
  await time.advance(3 * LEASE)
  expect(silent.state.calls).toBe(0)
  expect(b.state.calls).toBeGreaterThan(0)
  // What is occupied when somebody begins to listen counts from then on.
  silent.chat.on('occupied', channel => void silent.owned.add(channel))
  await time.settle()
  expect([...silent.owned]).toEqual(['news'])
})

test('with `local` each server is told of its own', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  const local: string[] = []
  for (const [name, { chat }] of Object.entries({ a, b })) {
    chat.on('occupied', (channel, { moved }) => local.push(`${name} +${channel} ${moved}`), { local: true })
    chat.on('vacated', (channel, { moved }) => local.push(`${name} -${channel} ${moved}`), { local: true })
  }
  const [ofA, ofB] = [await a.connect(), await b.connect()]
  await time.until(ofA.api.chat.subscribe('news'))
  await time.until(ofB.api.chat.subscribe('news'))
  ofB.close()
  await take()
  expect(local).toEqual(['a +news false', 'b +news false', 'b -news false'])
})

test('names that are none for an engine are told as they are', async () => {
  const { start, take, time } = occupancyCluster()
  const [a, b] = [await start('a'), await start('b')]
  // 256 characters are 768 bytes.
  const long = '\u4e00'.repeat(256)
  const [ofA, ofB] = [await a.connect(), await b.connect()]
  for (const client of [ofA, ofB]) await time.until(client.api.chat.subscribe(long))
  expect(await take()).toEqual([`a +${long}`])
  ofA.close()
  expect(await take(LINGER)).toEqual([`a -${long} moved`, `b +${long} moved`])
})

test('many channels go in calls of 1,000', async () => {
  const { start, take, time } = occupancyCluster()
  const a = await start('a', true, { limits: { topics: 5000 } })
  const client = await a.connect()
  const channels = Array.from({ length: 2500 }, (_, at) => `room ${at}`)
  const calls = a.state.calls
  await time.until(Promise.all(channels.map(channel => client.api.chat.subscribe(channel))))
  expect((await take()).sort()).toEqual(channels.map(channel => `a +${channel}`).sort())
  expect(a.state.calls - calls).toBeLessThan(40)
  client.close()
  expect(await take(LINGER)).toHaveLength(2500)
})
