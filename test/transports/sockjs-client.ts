import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { RecordingHost } from '../../src/testing/recording-host.js'
import type { ConformanceClient } from '../../src/testing/transport-conformance.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { SockJsOptions } from '../../src/transports/sockjs-options.js'
import type { LinkHandler, Transport } from '../../src/transports/transport.js'

let names = 0

/** A session path that nobody has used. */
export const freshSession = () => `/000/session-${names++}`

/** Starts a transport on a free port of the loopback, for one test. */
export async function startedSockJs(options: SockJsOptions = {}) {
  const transport = sockjs({ port: 0, host: '127.0.0.1', ...options })
  const host = new RecordingHost()
  await transport.start(host)
  onTestFinished(() => transport.stop())
  return { transport, host, url: addressOf(transport), port: transport.address()?.port ?? 0 }
}

/** Where a started transport listens. */
export function addressOf(transport: Transport): string {
  return transport.address()?.url ?? 'http://127.0.0.1:1/not-started'
}

/** Sends a request; resolves with the answer once it is whole. */
export async function ask(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init)
  return { status: response.status, headers: response.headers, body: await response.text() }
}

export const post = (url: string, body = '', headers: Record<string, string> = {}) =>
  ask(url, { method: 'POST', body, headers })

/** Reads the frames of SockJS: `o`, `h`, `a[…]`, `c[…]`. */
function reader(handler: Partial<LinkHandler>, opened: () => void, close: () => void) {
  const end = { code: 1006, reason: '' }
  const held: string[] = []
  let paused = false
  let isOpen = false
  const read = (line: string) => {
    // A second opening: the server has lost the session, and begun another.
    if (line.startsWith('o') && isOpen) close()
    else if (line.startsWith('o')) {
      isOpen = true
      opened()
    }
    if (line.startsWith('a')) for (const frame of JSON.parse(line.slice(1))) handler.frame?.(frame)
    if (line.startsWith('c')) {
      ;[end.code, end.reason] = JSON.parse(line.slice(1))
      close()
    }
  }
  return {
    end,
    take(line: string) {
      if (paused) held.push(line)
      else read(line)
    },
    pause() {
      paused = true
    },
    resume() {
      paused = false
      for (const line of held.splice(0)) read(line)
    },
  }
}

/** The suite's second protocol of two: SockJS has no word for the one that was agreed. */
const agreed = (protocols: readonly string[]) => protocols[1] ?? ''

const offer = (protocols: readonly string[]) =>
  protocols.length > 0 ? `?${protocols.map(name => `protocol=${name}`).join('&')}` : ''

/** A client over WebSocket, that speaks SockJS by hand. */
export async function connectWebSocket(
  base: string,
  handler: Partial<LinkHandler>,
  protocols: readonly string[],
): Promise<ConformanceClient> {
  const url = `${base}${freshSession()}/websocket${offer(protocols)}`
  const socket = new WebSocket(url.replace('http', 'ws'))
  let ended: { code: number; reason: string } | undefined
  const ready = new Promise<void>((resolve, reject) => {
    const frames = reader(handler, resolve, () => socket.close())
    socket.on('message', data => frames.take(String(data)))
    socket.on('close', () => {
      const { code, reason } = ended ?? frames.end
      handler.closed?.(code, reason)
    })
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, { statusCode }) => reject(refused(statusCode)))
  })
  await ready
  return {
    protocol: agreed(protocols),
    send: frame => socket.send(JSON.stringify([frame])),
    close: (code, reason) => {
      ended = { code, reason }
      socket.close()
    },
    terminate: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}

/** A client over XHR, streaming or polling, that speaks SockJS by hand. */
export function connectXhr(way: 'xhr' | 'xhr_streaming') {
  return async (
    base: string,
    handler: Partial<LinkHandler>,
    protocols: readonly string[],
  ): Promise<ConformanceClient> => {
    const url = base + freshSession()
    const agent = new http.Agent({ keepAlive: true })
    let over = false
    let ready: () => void = () => undefined
    let failed: (error: Error) => void = () => undefined
    const opened = new Promise<void>((resolve, reject) => {
      ready = resolve
      failed = reject
    })
    const finish = (code: number, reason: string) => {
      if (over) return
      over = true
      agent.destroy()
      setImmediate(() => handler.closed?.(code, reason))
    }
    const frames = reader(
      handler,
      () => ready(),
      () => finish(frames.end.code, frames.end.reason),
    )
    const receive = () => {
      const request = http.request(`${url}/${way}${offer(protocols)}`, { method: 'POST', agent })
      const lost = (error: Error) => {
        failed(error)
        finish(1006, '')
      }
      request.on('error', lost)
      request.on('response', (response: IncomingMessage) => {
        if (response.statusCode !== 200) return lost(refused(response.statusCode))
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const lines = (text + chunk).split('\n')
          text = lines.pop() ?? ''
          for (const line of lines) if (!over) frames.take(line)
        })
        response.on('error', lost)
        response.on('end', () => {
          if (!over) receive()
        })
      })
      request.end()
    }
    let queue: unknown[] = []
    let sending = false
    const flush = () => {
      if (sending || queue.length === 0 || over) return
      sending = true
      const body = JSON.stringify(queue)
      queue = []
      const request = http.request(`${url}/xhr_send`, { method: 'POST', agent })
      request.on('error', () => finish(1006, ''))
      request.on('response', (response: IncomingMessage) => {
        response.resume().on('end', () => {
          sending = false
          flush()
        })
      })
      request.end(body)
    }
    receive()
    await opened
    return {
      protocol: agreed(protocols),
      send: frame => {
        queue.push(frame)
        setImmediate(flush)
      },
      close: finish,
      terminate: () => finish(1006, ''),
      pause: frames.pause,
      resume: frames.resume,
    }
  }
}

/** Opens a streaming response; resolves once it holds the text. */
export async function stream(url: string, wanted: string, init: http.RequestOptions = {}) {
  const request = http.request(url, init).end()
  onTestFinished(() => void request.destroy())
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    if (text.includes(wanted)) break
  }
  return { status: response.statusCode, headers: response.headers, text }
}

function refused(status: number | undefined) {
  return Object.assign(new Error(`Answered ${status}`), { data: { status } })
}
