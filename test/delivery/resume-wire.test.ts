import { afterEach, describe, expect, test } from 'vitest'
import { msgpack } from '../../src/codec/msgpack.js'
import { WireClient } from '../support/wire.js'
import { ResumableWire, startServer } from './wire-support.js'

let made: Awaited<ReturnType<typeof startServer>>

afterEach(() => made.kit.stop())

describe('a welcome', () => {
  test('gives a token and the window to clients that say they resume, and to no others', async () => {
    made = await startServer()
    const one = await ResumableWire.open(made.kit)
    expect(one.welcome).toMatchObject({
      resumed: false,
      recv: 0,
      window: 120_000,
      token: expect.any(String),
    })
    const other = await ResumableWire.open(made.kit, { caps: [] })
    expect(other.welcome).toMatchObject({ resumed: false, recv: 0, window: 0 })
    expect(other.welcome).not.toHaveProperty('token')
    expect(other.welcome).not.toHaveProperty('reason')
  })

  test('gives none where the server keeps nobody', async () => {
    made = await startServer({ resume: false })
    const one = await ResumableWire.open(made.kit)
    expect(one.welcome).toMatchObject({ window: 0 })
    expect(one.client.welcome).not.toHaveProperty('token')
    await one.lose()
    expect(made.disconnected).toEqual([one.cid])
    expect(await one.resume({ resume: { token: 'x.y' } })).toMatchObject({ resumed: false, reason: 'off' })
  })
})

describe('a lost connection', () => {
  test('goes on before anything was said', async () => {
    made = await startServer()
    const one = await made.open()
    await one.lose()
    expect(await one.resume()).toMatchObject({ resumed: true, recv: 0, cid: one.cid, token: one.token })
    await one.send([1, 1, 1, ['echo', 'a']])
    expect(one.got).toEqual([[2, 1, 'a']])
    expect([made.disconnected, made.gone]).toEqual([[], []])
  })

  test('goes on time and again, without a message lost or repeated', async () => {
    made = await startServer()
    const one = await made.open()
    for (let round = 0; round < 20; round++) {
      await one.send([1, 1, 1, ['echo', round]])
      made.own.send(one.cid, `seen ${round}`)
      // What the client has not taken yet is lost with the link.
      await made.kit.settle()
      one.client.frames.length = 0
      await one.lose()
      made.own.send(one.cid, `missed ${round}`)
      expect(await one.resume()).toMatchObject({ resumed: true, recv: round + 1 })
    }
    const expected = Array.from({ length: 20 }, (_, n) => [
      [2, 1, n],
      [0, 2, `seen ${n}`],
      [0, 2, `missed ${n}`],
    ]).flat()
    expect(one.got).toEqual(expected)
    expect(made.ran).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  test('goes on when the welcome of an attempt was lost', async () => {
    made = await startServer()
    const one = await made.open()
    await one.send([1, 1, 1, ['echo', 'a']])
    await one.lose()
    made.own.send(one.cid, 'missed')
    const { recv } = one
    await one.resume()
    // As if nothing of it had come.
    one.recv = recv
    one.got.length = recv
    await one.lose()
    expect(await one.resume()).toMatchObject({ resumed: true, recv: 1 })
    expect(one.got).toEqual([
      [2, 1, 'a'],
      [0, 2, 'missed'],
    ])
  })

  test('is the newest link’s, while the server still believes in the one before', async () => {
    made = await startServer()
    const one = await made.open()
    const old = one.client
    made.own.send(one.cid, 'to the old link')
    await made.kit.settle()
    // Not lost for the server: nothing was closed.
    expect(await one.resume()).toMatchObject({ resumed: true })
    expect(one.got).toEqual([[0, 2, 'to the old link']])
    expect(old.closed).toEqual({ code: 1006, reason: '' })
    made.own.send(one.cid, 'to the new link')
    await one.take()
    expect(one.got.at(-1)).toEqual([0, 2, 'to the new link'])
    expect(made.disconnected).toEqual([])
  })

  test('does not take what a link brings that was left', async () => {
    made = await startServer()
    const one = await made.open()
    const old = one.client
    // In one turn: the frame of the old link waits behind the new one's hello.
    const back = one.resume()
    old.send([1, 1, 1, ['echo', 'late']])
    const { recv } = await back
    await made.kit.settle()
    expect([recv, made.ran.length]).toSatisfy(([has, ran]: number[]) => has === ran)
    if (recv === 0) await one.send([1, 1, 1, ['echo', 'late']])
    expect(made.ran).toEqual(['late'])
  })

  test('refuses an attempt that comes after a later one', async () => {
    made = await startServer()
    const one = await made.open()
    await one.lose()
    one.tries = 4
    expect(await one.resume()).toMatchObject({ resumed: true })
    const current = one.client
    one.tries = 2
    expect(await one.resume()).toMatchObject({ resumed: false, reason: 'superseded' })
    current.send([1, 1, 1, ['echo', 'still here']])
    await made.kit.settle()
    expect(current.frames.at(-1)).toEqual([2, 1, 'still here'])
  })

  test('holds the answer to a call, runs it once and does not abort it', async () => {
    made = await startServer()
    const one = await made.open()
    await one.send([1, 1, 1, ['wait', 'a']], [1, 1, 3, ['wait', 'b']])
    await one.lose()
    made.release('early')
    await made.kit.settle()
    await one.resume()
    expect(one.got).toEqual([[2, 1, 'early']])
    made.release('late')
    await one.take()
    expect(one.got).toEqual([
      [2, 1, 'early'],
      [2, 3, 'late'],
    ])
    expect([made.ran, made.aborted]).toEqual([['a', 'b'], []])
  })

  test('goes on with a stream where it was', async () => {
    made = await startServer()
    const one = await made.open()
    await one.send([1, 1, 1, ['count', 1, 100]])
    expect(one.got.length).toBe(64)
    await one.lose()
    await one.resume()
    await one.send([7, 1, 20])
    await one.lose()
    await one.resume()
    await one.send([7, 1, 100])
    expect(one.got.map(([, , n]) => n)).toEqual([...Array.from({ length: 100 }, (_, n) => n + 1), null])
  })

  test('goes on with the server’s calls', async () => {
    made = await startServer()
    const one = await made.open()
    const answer = made.own.callClient(one.cid, 'who?')
    await one.take()
    await one.lose()
    const another = made.own.callClient(one.cid, 'and who else?')
    await one.resume()
    expect(one.got).toEqual([
      [1, 2, 2, 'who?'],
      [1, 2, 4, 'and who else?'],
    ])
    await one.send([2, 4, 'him'], [2, 2, 'me'])
    expect([await answer, await another]).toEqual(['me', 'him'])
  })

  test('keeps its topics, rooms, data and session', async () => {
    made = await startServer()
    const one = await made.open()
    await one.send([9, 2, 1, { ch: 'news' }])
    const { connection } = made
    connection.join('room')
    connection.data.name = 'Ann'
    await one.lose()
    expect(connection.open).toBe(true)
    made.own.topic('news').publish('on the topic')
    made.own.to('room').send('in the room')
    await one.resume({}, { clientIp: '10.0.0.9' })
    expect(one.got.slice(1)).toEqual([
      [8, 1, 'on the topic'],
      [0, 2, 'in the room'],
    ])
    expect([connection.clientIp, connection.data, [...connection.rooms]]).toEqual([
      '10.0.0.9',
      { name: 'Ann' },
      ['room'],
    ])
    expect(made.kit.app.connections()).toEqual([connection])
  })

  test('is like one that does not read, for what may wait elsewhere and be dropped', async () => {
    made = await startServer()
    const one = await made.open()
    const backlog = made.own.backlog({
      overflow: 'drop-oldest',
      messages: 2,
      bytes: 10_000,
      mark: (_tag, dropped) => `${dropped} are missing`,
    })
    await one.lose()
    for (let n = 0; n < 5; n++) made.own.sendToSocketIds(one.cid, n, { backlog })
    made.own.send(one.cid, 'not to be dropped')
    expect(backlog.statistics).toMatchObject({ dropped: 3, connections: 1, waiting: 2 })
    await one.resume()
    const after = ['not to be dropped', '3 are missing', 3, 4]
    expect(one.got.map(([, , value]) => value)).toEqual(after)
    expect(backlog.statistics).toMatchObject({ connections: 0, waiting: 0 })
    // They have numbers now.
    await one.lose()
    expect(await one.resume()).toMatchObject({ resumed: true })
    expect(one.got.map(([, , value]) => value)).toEqual(after)
  })

  test('waits on its new link for what it waited for on the old one', async () => {
    const held: (() => void)[] = []
    made = await startServer({}, (req, _res, next) => {
      if (req.message !== 'hold') return next()
      return new Promise<void>(resolve => held.push(resolve)).then(() => next())
    })
    const one = await made.open()
    await one.send([0, 2, 'first'], [0, 2, 'hold'])
    await one.lose()
    expect(await one.resume()).toMatchObject({ resumed: true, recv: 2 })
    await one.send([0, 2, 'behind it'])
    expect(made.ran).toEqual(['first'])
    held[0]!()
    await made.kit.settle()
    expect(made.ran).toEqual(['first', 'hold', 'behind it'])
  })

  test('is given what its middleware let through while it was away', async () => {
    const held: (() => void)[] = []
    made = await startServer({}, (_req, _res, next) => {
      return new Promise<void>(resolve => held.push(resolve)).then(() => next())
    })
    const one = await made.open()
    await one.send([1, 1, 1, ['echo', 'a']])
    await one.lose()
    held[0]!()
    await made.kit.settle()
    await one.resume()
    expect(one.got).toEqual([[2, 1, 'a']])
    one.client.send([1, 1, 3, ['echo', 'b']])
    await made.kit.settle()
    held[1]!()
    await one.take()
    expect(one.got.at(-1)).toEqual([2, 3, 'b'])
  })

  test('goes on over another codec', async () => {
    made = await startServer()
    const one = await made.open()
    const codec = msgpack().open(new Map())
    const when = new Date(5)
    await one.lose()
    made.own.send(one.cid, { when, set: new Set([1n]) })
    made.own.send(one.cid, 'second')
    const link = await made.kit.transport.connect({ protocols: ['ss1.msgpack'] })
    const frames: Uint8Array[] = []
    link.listen({ frame: frame => void frames.push(frame as Uint8Array) })
    const resume = { token: one.token, try: 1, recv: 0 }
    link.send(codec.encode(16, 0, 0, { v: 1, caps: ['resume'], session: one.session, resume }))
    await made.kit.settle()
    const read = frames.map(frame => codec.decode(frame)).map(({ kind, payload }) => [kind, payload])
    expect(read).toEqual([
      [17, expect.objectContaining({ resumed: true })],
      [0, { when, set: new Set([1n]) }],
      [0, 'second'],
    ])
    link.close()
  })

  test('takes what a client has sent behind its hello, in order', async () => {
    made = await startServer()
    const one = await made.open()
    await one.lose()
    const link = await WireClient.silent(made.kit.transport)
    const resume = { token: one.token, try: 1, recv: 0 }
    link.send([16, { v: 1, caps: ['resume'], session: one.session, resume }])
    for (let n = 0; n < 50; n++) link.send([0, 2, n])
    await made.kit.settle()
    for (let n = 50; n < 60; n++) link.send([0, 2, n])
    await made.kit.settle()
    expect(made.ran).toEqual(Array.from({ length: 60 }, (_, n) => n))
    expect(made.kit.app.connections().length).toBe(1)
  })
})

describe('a connection cannot be resumed', () => {
  test('once the window has passed; it is over then, and not before', async () => {
    made = await startServer({ resume: { window: '10s' } })
    const one = await made.open()
    await one.send([1, 1, 1, ['wait', 'a']])
    await one.lose()
    await made.kit.advance(9_000)
    expect([made.disconnected, made.gone, made.aborted]).toEqual([[], [], []])
    await made.kit.advance(2_500)
    expect([made.disconnected, made.gone, made.aborted]).toEqual([[one.cid], [one.cid], ['a']])
    const welcome = await one.resume()
    expect(welcome).toMatchObject({ resumed: false, recv: 0, reason: 'window', token: expect.any(String) })
    expect(welcome.cid).not.toBe(one.cid)
  })

  test('once more came for it than is kept', async () => {
    made = await startServer({ resume: { bytes: 2_000 } })
    const one = await made.open()
    await one.lose()
    made.own.send(one.cid, 'x'.repeat(1_500))
    await made.kit.settle()
    expect(made.disconnected).toEqual([])
    made.own.send(one.cid, 'x'.repeat(1_500))
    await made.kit.settle()
    expect(made.disconnected).toEqual([one.cid])
    expect(await one.resume()).toMatchObject({ resumed: false, reason: 'overflow' })
  })

  test('once a call of the server is what is too much, and that call fails', async () => {
    made = await startServer({ resume: { bytes: 2_000 } })
    const one = await made.open()
    await one.lose()
    const call = made.own.callClient(one.cid, 'x'.repeat(3_000), { timeout: 0 })
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(made.disconnected).toEqual([one.cid])
  })

  test('when it has too little of what was sent; it stays open until then', async () => {
    made = await startServer({ resume: { bytes: 2_000 } })
    const one = await made.open()
    for (let n = 0; n < 5; n++) made.own.send(one.cid, 'x'.repeat(900))
    await one.take()
    expect(one.recv).toBe(5)
    one.recv = 0
    await one.lose()
    expect(made.disconnected).toEqual([])
    expect(await one.resume()).toMatchObject({ resumed: false, reason: 'overflow' })
    await made.kit.settle()
    expect(made.disconnected).toEqual([one.cid])
  })

  test('although much was sent, if all of it has arrived', async () => {
    made = await startServer({ resume: { bytes: 2_000 } })
    const one = await made.open()
    for (let n = 0; n < 5; n++) made.own.send(one.cid, 'x'.repeat(900))
    await one.take()
    await one.lose()
    expect(await one.resume()).toMatchObject({ resumed: true })
  })

  test('when too much is kept for all: whoever is away longest is given up first', async () => {
    made = await startServer({ resume: { bytes: 4_000, total: 5_000, connections: 3 } })
    const all = [await made.open(), await made.open(), await made.open(), await made.open()]
    for (const one of all) await one.lose()
    expect(made.disconnected).toEqual([all[0]!.cid])
    made.own.send(all[1]!.cid, 'x'.repeat(3_000))
    made.own.send(all[2]!.cid, 'x'.repeat(3_000))
    await made.kit.settle()
    expect(made.disconnected).toEqual([all[0]!.cid, all[1]!.cid])
    expect(await all[0]!.resume()).toMatchObject({ resumed: false, reason: 'evicted' })
    expect(await all[2]!.resume()).toMatchObject({ resumed: true })
    expect(await all[3]!.resume()).toMatchObject({ resumed: true })
  })

  test('with a wrong token, and it stays for who has the right one', async () => {
    made = await startServer()
    const one = await made.open()
    await one.lose()
    const right = one.token
    const wrong = [
      `${right}x`,
      right.slice(0, -1),
      `${one.cid}.`,
      one.cid,
      'nobody.AAAAAAAAAAAAAAAAAAAAAA',
      '',
      '.',
      `${one.cid}.${'A'.repeat(22)}`,
    ]
    for (const token of wrong) {
      expect(await one.resume({ resume: { token } })).toMatchObject({ resumed: false, reason: 'unknown' })
      await one.lose()
    }
    expect(await one.resume()).toMatchObject({ resumed: true })
  })

  test('by another session, or none', async () => {
    made = await startServer()
    const one = await made.open()
    const other = await made.open()
    await one.lose()
    for (const session of [other.session, undefined, 'forged']) {
      expect(await one.resume({ session })).toMatchObject({ resumed: false, reason: 'session' })
      await one.lose()
    }
    expect(await one.resume()).toMatchObject({ resumed: true })
  })

  test('by another user', async () => {
    made = await startServer({ authenticate: ({ url }) => ({ id: url, at: Math.random() }) })
    const one = await ResumableWire.open(made.kit, {}, { url: '/ann' })
    await one.lose()
    expect(await one.resume({}, { url: '/bob' })).toMatchObject({ resumed: false, reason: 'session' })
    expect(await one.resume({}, { url: '/ann' })).toMatchObject({ resumed: true })
  })

  test('when its numbers do not fit', async () => {
    made = await startServer()
    const one = await made.open()
    await one.send([1, 1, 1, ['echo', 1]])
    await one.lose()
    expect(await one.resume({ resume: { recv: 2 } })).toMatchObject({ resumed: false, reason: 'counts' })
    await made.kit.settle()
    expect(made.disconnected).toContain(one.cid)
  })

  test('after a restart', async () => {
    const first = await startServer()
    const one = await first.open()
    await one.lose()
    await first.kit.stop()
    made = await startServer()
    const { token } = one
    const two = await ResumableWire.open(made.kit, { resume: { token, try: 1, recv: 0 } })
    expect(two.welcome).toMatchObject({ resumed: false, reason: 'unknown' })
  })

  test('when it was closed in order, by either end, or its page was left', async () => {
    made = await startServer()
    const one = await made.open()
    await one.send([22, 1000, { reason: '', reconnect: false }])
    expect(await one.resume()).toMatchObject({ resumed: false, reason: 'closed' })
    const two = await made.open()
    two.client.link.close(1001, '')
    await made.kit.settle()
    expect(await two.resume()).toMatchObject({ resumed: false, reason: 'closed' })
    const three = await made.open()
    made.connection.close()
    expect(await three.resume()).toMatchObject({ resumed: false, reason: 'closed' })
    expect(made.disconnected).toEqual([one.cid, two.cid, three.cid])
  })

  test('when it is closed while its client is away', async () => {
    made = await startServer()
    const one = await made.open()
    await one.lose()
    made.connection.close()
    await made.kit.settle()
    expect(made.disconnected).toEqual([one.cid])
    expect(await one.resume()).toMatchObject({ resumed: false, reason: 'closed' })
  })

  test('when its session ends while its client is away', async () => {
    made = await startServer()
    const one = await made.open()
    await one.lose()
    await made.kit.until(made.kit.app.sessions.destroy(made.connection.session.id))
    await made.kit.settle()
    expect(made.disconnected).toEqual([one.cid])
    expect((await one.resume()).resumed).toBe(false)
  })

  test('from a server that stops; who is away is given up at once', async () => {
    made = await startServer()
    const one = await made.open()
    const two = await made.open()
    await two.send([1, 1, 1, ['wait', 'b']])
    await one.lose()
    const stopped = made.kit.app.stop({ drain: 5_000 })
    await made.kit.settle()
    expect(made.disconnected).toEqual([one.cid])
    // One that loses its link now has nowhere to come back to.
    await two.lose()
    expect(made.disconnected).toEqual([one.cid, two.cid])
    await made.kit.until(stopped)
  })
})

describe('acknowledgements', () => {
  test('come after 64 messages, after 32 KiB, and within a second or so', async () => {
    made = await startServer()
    const one = await made.open()
    const acks = () => one.client.frames.filter(([kind]) => kind === 18).map(([, n]) => n)
    for (let n = 0; n < 63; n++) one.client.send([0, 2, n])
    await made.kit.settle()
    expect(acks()).toEqual([])
    one.client.send([0, 2, 63])
    await made.kit.settle()
    expect(acks()).toEqual([64])
    one.client.send([0, 2, 'x'.repeat(33_000)])
    await made.kit.settle()
    expect(acks()).toEqual([64, 65])
    one.client.send([0, 2, 'one more'])
    await made.kit.advance(2_000)
    expect(acks()).toEqual([64, 65, 66])
    await made.kit.advance(10_000)
    expect(acks()).toEqual([64, 65, 66])
  })

  test('of a client let go of what is kept, by ack, ping and pong', async () => {
    made = await startServer({ resume: { bytes: 1_000 } })
    const one = await made.open()
    const kinds = [18, 19, 20]
    for (let n = 0; n < 12; n++) {
      made.own.send(one.cid, 'x'.repeat(800))
      await one.take()
      await one.send([kinds[n % 3]!, one.recv])
    }
    await one.lose()
    // One was acknowledged; the next one fits.
    made.own.send(one.cid, 'x'.repeat(800))
    await made.kit.settle()
    expect(made.disconnected).toEqual([])
    expect(await one.resume()).toMatchObject({ resumed: true })
  })

  test('that say nothing new are taken, those that cannot be close the connection', async () => {
    made = await startServer()
    const good = await made.open()
    await good.send([1, 1, 1, ['echo', 1]], [18, 1], [18, 0], [19, 0], [20, 0])
    expect(good.client.closed).toBeUndefined()
    for (const n of [2, -1, 1.5, '1', null]) {
      const bad = await made.open()
      await bad.send([1, 1, 1, ['echo', 1]], [18, n])
      expect(bad.client.closed?.code).toBe(4400)
    }
    // A client that does not resume may say what it likes.
    const other = await ResumableWire.open(made.kit, { caps: [] })
    await other.send([18, 7], [20, 'x'])
    expect(other.client.closed).toBeUndefined()
  })
})

describe('a client that is silent', () => {
  test('is lost, not gone: it can come back', async () => {
    made = await startServer({ limits: { ping: 5_000 } })
    const one = await made.open()
    await made.kit.advance(11_000)
    expect(one.client.closed?.code).toBe(4503)
    expect(made.disconnected).toEqual([])
    // Nobody is pinged who is away.
    await made.kit.advance(60_000)
    expect(await one.resume()).toMatchObject({ resumed: true })
  })

  test('with a malformed wish to resume is refused', async () => {
    made = await startServer()
    for (const resume of [1, 'x', {}, { token: 1, try: 1, recv: 0 }, { token: 'a', try: -1, recv: 0 }, []]) {
      const client = await WireClient.silent(made.kit.transport)
      client.send([16, { v: 1, caps: ['resume'], resume }])
      await made.kit.settle()
      expect(client.closed?.code).toBe(4400)
    }
  })
})
