import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { memory } from '../../src/transports/memory.js'
import { LogLines } from '../support/wire.js'
import { ClassicClient } from './classic-client.js'

interface App {
  process(request: object): void
  readonly events: EventEmitter
}

/** A transport module as they were written for 0.4; sockets are emitters. */
function transportModule() {
  const sockets: Record<string, EventEmitter> = {}
  let app: App
  return {
    options: { port: 1 },
    client: () => undefined,
    browserAssets: [{ filename: import.meta.filename, type: 'js' }],
    server(given: App) {
      app = given
      return {
        sendToSocketId: (id: string, message: string) => void sockets[id]!.emit('message', message),
        broadcast: (message: string) => {
          for (const socket of Object.values(sockets)) socket.emit('message', message)
        },
      }
    },
    /** A socket opens; without `silent` the server is told. */
    open(id: string, silent = false): ClassicClient {
      const client = new ClassicClient(message =>
        app.process({ message, transport: 'mine', socketId: id, clientIp: '10.0.0.1' }),
      )
      sockets[id] = new EventEmitter().on('message', message => client.process(message))
      if (!silent) app.events.emit('client:connect', id)
      return client
    },
    close(id: string) {
      app.events.emit('client:disconnect', id)
      delete sockets[id]
    },
    lose: (id: string) => delete sockets[id],
  }
}

async function start() {
  const module = transportModule()
  const log = new LogLines()
  const other = memory()
  const server = new Server({ transport: [module, other], log: log.target, env: 'test' })
  const events: unknown[][] = []
  server.events.on('client:connect', id => events.push(['connect', id]))
  server.events.on('client:disconnect', id => events.push(['disconnect', id]))
  const app = server.service('who', {
    use: { json: true, callbacks: true },
    server(server) {
      server.onmessage = (_message, { socketId, transport, clientIp }, reply) =>
        reply([socketId, transport, clientIp])
      return { tell: server.send, all: server.broadcast }
    },
    client: (client: { send: unknown }) => client.send,
  })
  const api = await app.start()
  return { app, api, module, other, log, events }
}

/** What a client is told of itself. */
async function who(client: ClassicClient): Promise<unknown> {
  await client.connect()
  client.provide({ id: 1, name: 'who', use: { json: true, callbacks: true } }, service => ({
    ask: (done: () => void) => service.send(null, done),
  }))
  return (await ClassicClient.answer(done => client.api.who.ask(done)))[0]
}

describe('a transport module of 0.4', () => {
  test('carries its clients under their own ids, and is told of each once', async () => {
    const { app, module, events } = await start()
    const one = module.open('1')
    const two = module.open('2', true)
    expect(await who(one)).toEqual(['1', 'mine', '10.0.0.1'])
    expect(await who(two)).toEqual(['2', 'mine', '10.0.0.1'])
    module.close('1')
    module.close('2')
    expect(events.slice(0, 2)).toEqual([
      ['connect', '1'],
      ['connect', '2'],
    ])
    expect(events.filter(([, id]) => id === '1')).toEqual([
      ['connect', '1'],
      ['disconnect', '1'],
    ])
    await app.stop()
  })

  test('stands beside other transports', async () => {
    const { app, other, module } = await start()
    const mine = module.open('1')
    await who(mine)
    const theirs = ClassicClient.on(await other.connect())
    expect(await who(theirs)).toEqual([expect.stringContaining('.'), 'memory', '127.0.0.1'])
    const heard: unknown[] = []
    for (const client of [mine, theirs])
      client.provide({ id: 1, name: 'who', use: { json: true, callbacks: true } }, service => {
        service.onmessage = (message: unknown) => void heard.push(message)
      })
    app.api.who.all('news')
    await theirs.until(() => heard.length === 2)
    expect(heard).toEqual(['news', 'news'])
    await app.stop()
  })

  test('may have lost a socket that is still sent to', async () => {
    const { app, module, log } = await start()
    await who(module.open('1'))
    module.lose('1')
    app.api.who.tell('1', 'anybody there?')
    expect(log.of('debug')).toContain('a message is for a socket that has gone')
    await app.stop()
  })

  test('may send what is no message, which is logged and left out', async () => {
    const { app, module, log } = await start()
    const one = module.open('1')
    await who(one)
    for (const wrong of [null, {}, { socketId: 1, message: 'x' }, { socketId: '1' }])
      app.process(wrong as never)
    expect(log.of('warn').filter(line => line.startsWith('process() takes'))).toHaveLength(4)
    app.process({ socketId: '1', message: Buffer.from('1|1|') as never })
    expect(log.of('warn')).toContain('connection closed: Bytes where a text is agreed')
    expect(await who(one)).toEqual(['1', 'mine', '10.0.0.1'])
    await app.stop()
  })

  test('lists its files for browsers', async () => {
    const { app } = await start()
    const asset = app.browserAssets().find(({ path }) => path === 'transport.test.ts')
    expect(asset).toMatchObject({ type: 'js', service: undefined })
    expect(await asset?.contents()).toContain('lists its files for browsers')
    await app.stop()
  })

  test('is the only one, and must give what it has to', async () => {
    const invalid = expect.objectContaining({ code: 'INVALID_OPTION' })
    expect(() => new Server({ transport: [transportModule(), transportModule()] })).toThrow(invalid)
    const app = new Server({ transport: { server: () => ({}) as never } })
    await expect(app.start()).rejects.toEqual(invalid)
    expect(() => new Server({ transport: memory() }).process({ message: '', socketId: '' })).toThrow(
      expect.objectContaining({ code: 'INVALID_STATE' }),
    )
  })

  test('speaks the text wire unless that is switched off', async () => {
    const module = transportModule()
    const app = new Server({ transport: module, textWire: false, env: 'test' })
    await app.start()
    const one = module.open('1')
    app.process({ socketId: '1', message: '0|1|{"c":"connect"}' })
    await new Promise(resolve => setImmediate(resolve))
    expect(one.frames).toEqual([])
    await app.stop()
  })
})
