import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { refuseUpgrade } from '../../src/transports/http.js'
import { intercept } from '../../src/transports/request-intercept.js'
import { listeningServer, RawClient } from './ws-client.js'

/** Takes what is on a path, and answers with a name; counts what it was asked. */
function taking(server: Server, path: string) {
  const asked: string[] = []
  const release = intercept(server, {
    request(request, response, passOn) {
      asked.push(`${request.url}`)
      if (request.url === path) response.end(`taken on ${path}`)
      else if (!passOn()) response.writeHead(404).end(`nobody behind ${path}`)
    },
    upgrade(request, _head, passOn) {
      if (request.url === path) request.socket.end(`HTTP/1.1 400 Taken on ${path}\r\n\r\n`)
      else passOn()
    },
    unwanted: ({ socket }) => refuseUpgrade(socket, 404, `no upgrade behind ${path}`),
  })
  return { asked, release }
}

const app = (name: string) => (_request: IncomingMessage, response: ServerResponse) =>
  void response.end(`app ${name}`)

async function started(listener?: (request: IncomingMessage, response: ServerResponse) => void) {
  const { server, port } = await listeningServer(createServer(listener))
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  const upgrade = async (path: string, headers: Record<string, string> = {}) => {
    const client = new RawClient(port).upgrade(path, headers)
    await client.closed
    return client.received.toString()
  }
  return { server, port, get, upgrade }
}

describe('an interceptor of requests', () => {
  test('takes its own before the listeners that are there, and before those that come', async () => {
    const { server, get } = await started(app('first'))
    const { release } = taking(server, '/a')
    const seen: (string | undefined)[] = []
    server.on('request', ({ url }) => seen.push(url))
    server.prependListener('request', ({ url }) => seen.push(url))
    expect(await get('/a')).toBe('taken on /a')
    expect(await get('/b')).toBe('app first')
    expect(seen).toEqual(['/b', '/b'])
    release()
    expect(await get('/a')).toBe('app first')
  })

  test('is told when there is no other listener', async () => {
    const { server, get } = await started()
    const { release } = taking(server, '/a')
    expect(await get('/b')).toBe('nobody behind /a')
    server.on('request', app('late'))
    expect(await get('/b')).toBe('app late')
    release()
  })

  test('leaves listeners where their owners find them, to be replaced', async () => {
    const first = app('first')
    const { server, get } = await started(first)
    const { release } = taking(server, '/a')
    expect(server.listeners('request')).toEqual([first])
    server.off('request', first).on('request', app('second'))
    expect(await get('/b')).toBe('app second')
    release()
    expect(await get('/b')).toBe('app second')
  })

  test('leaves nothing behind', async () => {
    const server = createServer()
    const before = server.eventNames()
    const { emit } = server
    taking(server, '/a').release()
    expect(server.eventNames()).toEqual(before)
    expect(Object.hasOwn(server, 'emit')).toBe(false)
    expect(server.emit).toBe(emit)
  })

  test.each([[[0, 1, 2]], [[0, 2, 1]], [[1, 0, 2]], [[1, 2, 0]], [[2, 0, 1]], [[2, 1, 0]]])(
    'is one of three, released in the order %j',
    async order => {
      const { server, get, upgrade } = await started(app('page'))
      const all = ['/0', '/1', '/2'].map(path => ({ path, ...taking(server, path) }))
      const present = new Set(all.map(({ path }) => path))
      const check = async () => {
        for (const { path } of all) {
          expect(await get(path)).toBe(present.has(path) ? `taken on ${path}` : 'app page')
          if (present.size === 0) continue
          expect(await upgrade(path)).toMatch(
            present.has(path) ? `400 Taken on ${path}` : /no upgrade behind/,
          )
        }
        expect(await get('/x')).toBe('app page')
      }
      await check()
      for (const index of order) {
        const { path, release, asked } = all[index]!
        release()
        present.delete(path)
        const before = asked.length
        await check()
        expect(asked).toHaveLength(before)
      }
      expect(server.listenerCount('upgrade')).toBe(0)
    },
  )
})

describe('an interceptor of upgrades', () => {
  test('takes its own before the listeners, which have the rest', async () => {
    const { server, upgrade } = await started()
    const { release } = taking(server, '/a')
    expect(await upgrade('/b')).toMatch(/^HTTP\/1\.1 404 [\s\S]*no upgrade behind \/a$/)
    const seen: (string | undefined)[] = []
    const other = ({ url }: IncomingMessage, socket: { end(text: string): void }) => {
      seen.push(url)
      socket.end('HTTP/1.1 400 Other\r\n\r\n')
    }
    server.on('upgrade', other)
    expect(server.listeners('upgrade')).toEqual([other])
    expect(await upgrade('/a')).toContain('Taken on /a')
    expect(await upgrade('/b')).toContain('400 Other')
    server.off('upgrade', other)
    expect(await upgrade('/b')).toMatch('no upgrade behind /a')
    expect(await upgrade('/a')).toContain('Taken on /a')
    server.once('upgrade', other)
    expect(await upgrade('/b')).toContain('400 Other')
    expect(await upgrade('/b')).toMatch('no upgrade behind /a')
    expect(seen).toEqual(['/b', '/b'])
    release()
    expect(server.listenerCount('upgrade')).toBe(0)
  })

  test('leaves the wish for another protocol out, where nobody has that', async () => {
    const { server, port, upgrade } = await started(app('page'))
    const { release } = taking(server, '/a')
    const answer = await upgrade('/b', { Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' })
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*app page$/)
    // A body has not been read as one; such a request is no more than refused.
    const body =
      'POST /b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi'
    const socket = connect(port, '127.0.0.1')
    socket.write(body)
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 404 /)
    // One that leaves before its answer hurts nobody.
    server.removeAllListeners('request')
    const asked = once(server, 'request')
    const leaver = new RawClient(port).upgrade('/b', { Upgrade: 'h2c' })
    const [, response] = await asked
    leaver.socket.resetAndDestroy()
    await once(response, 'close')
    release()
  })
})
