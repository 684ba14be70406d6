import { describe, expect, test } from 'vitest'
import { testServer } from '../support/wire.js'

async function start(textWire: boolean) {
  const made = testServer({ textWire })
  made.app
    .service('plain', {
      server(server) {
        server.onmessage = (message, request) => server.send(request.connectionId, `got ${message}`)
      },
    })
    .service('json', {
      use: { json: true, callbacks: true },
      server(server) {
        server.onmessage = (message, request, reply) =>
          request.kind === 'call' ? reply(message) : server.broadcast(message)
      },
    })
  await made.app.start()
  const frames: string[] = []
  let wake = () => {}
  let closed: number | undefined
  const link = await made.transport.connect()
  link.listen({
    frame: frame => {
      frames.push(frame as string)
      wake()
    },
    closed: code => {
      closed = code
      wake()
    },
  })
  const next = async (count: number) => {
    while (frames.length < count && closed === undefined) await new Promise<void>(resolve => (wake = resolve))
    return frames[count - 1] ?? `closed ${closed}`
  }
  return { ...made, link, next }
}

describe('the text wire', () => {
  test('is refused unless it is switched on', async () => {
    const { app, link, next } = await start(false)
    link.send('0|1|{"c":"connect"}')
    expect(await next(1)).toBe('closed 4400')
    await app.stop()
  })

  test('carries strings, values and callbacks after its own handshake', async () => {
    const { app, link, next } = await start(true)
    link.send('0|1|{"c":"connect"}')
    expect(JSON.parse((await next(1)).slice(4))).toEqual({
      version: '1.0',
      sessionId: expect.stringMatching(/^s:/),
    })
    link.send('1|a|b')
    expect(await next(2)).toBe('1|got a|b')
    link.send('2|5|{"a":[1,{"$t":["b","9007199254740993"]}]}')
    // What is a tag elsewhere is an object here.
    expect(await next(3)).toBe('2|5|{"a":[1,{"$t":["b","9007199254740993"]}]}')
    link.send('2||"all"')
    expect(await next(4)).toBe('2||"all"')
    await app.stop()
  })

  test.each([
    ['an unknown service', '9|x', /"code":"UNKNOWN_SERVICE"/],
    ['an unknown command', '0|1|{"c":"nope"}', /"code":"UNKNOWN_SERVICE"/],
    ['a broken payload', '2|1|{', /"code":"BAD_FRAME"/],
  ])('answers %s with a code', async (_what, frame, answer) => {
    const { app, link, next } = await start(true)
    link.send('0|1|{"c":"connect"}')
    await next(1)
    link.send(frame)
    expect(await next(2)).toMatch(answer)
    await app.stop()
  })

  test('closes on an empty frame and on ids that are no numbers', async () => {
    for (const frame of ['', 'x|y']) {
      const { app, link, next } = await start(true)
      link.send('0|1|{"c":"connect"}')
      await next(1)
      link.send(frame)
      expect(await next(2)).toBe('closed 4400')
      await app.stop()
    }
  })
})
