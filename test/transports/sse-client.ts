import {
  Agent,
  type ClientRequest,
  get,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http'
import { onTestFinished } from 'vitest'
import { EventReader } from '../../src/client/event-reader.js'
import type { Frame } from '../../src/codec/codec.js'
import { RecordingHost } from '../../src/testing/recording-host.js'
import type { ConformanceClient } from '../../src/testing/transport-conformance.js'
import { type SseOptions, sse } from '../../src/transports/sse.js'
import type { LinkHandler, Transport } from '../../src/transports/transport.js'

/** An answer as it was received. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Starts a transport on a free port of the loopback, or on the server given, for one test. */
export async function startedSse(options: SseOptions = {}) {
  const own = options.server ? {} : { port: 0, host: '127.0.0.1' }
  const transport = sse({ ...own, ...options })
  const host = new RecordingHost()
  await transport.start(host)
  onTestFinished(() => transport.stop())
  return { transport, host, url: urlOf(transport), port: transport.address()?.port ?? 0 }
}

/** Where a started transport listens. */
export function urlOf(transport: Transport): string {
  return transport.address()?.url ?? 'http://127.0.0.1:1/sse'
}

/** Sends one HTTP request, by hand; the answer is read to its end. */
export function ask(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
    agent = false,
  }: {
    method?: string
    headers?: Record<string, string>
    body?: string | Buffer
    agent?: Agent | false
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, body: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Posts frames as they are on the wire. */
export function post(url: string, parts: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(url, { method: 'POST', headers, body: JSON.stringify(parts) })
}

/** A stream of events, read by hand. */
export class RawStream {
  /** All that has come. */
  text = ''
  readonly request: ClientRequest
  readonly response: IncomingMessage
  /** Where this stream's link takes POSTs. */
  readonly postUrl: string

  private constructor(url: string, request: ClientRequest, response: IncomingMessage, first: string) {
    this.request = request
    this.response = response
    this.text = first
    response.on('data', (chunk: string) => {
      this.text += chunk
    })
    response.on('error', () => undefined)
    const [, id = ''] = /^data: \["o([\w.-]+) \d+"\]\n\n/.exec(first) ?? []
    const place = new URL(url)
    place.searchParams.set('link', id)
    this.postUrl = place.href
  }

  /** Opens one; rejects with `data.status` when the server refuses. */
  static open(url: string, headers: Record<string, string> = {}): Promise<RawStream> {
    return new Promise((resolve, reject) => {
      const all = { Accept: 'text/event-stream', ...headers }
      const sent = get(url, { headers: all, agent: false }, response => {
        if (response.statusCode !== 200) {
          const data = { status: response.statusCode }
          response.resume()
          reject(Object.assign(new Error(`Answered ${response.statusCode}`), { data }))
          return
        }
        response.setEncoding('utf8')
        response.once('data', (first: string) => resolve(new RawStream(url, sent, response, first)))
      })
      sent.on('error', reject)
    })
  }

  /** Resolves once this has come. */
  async until(wanted: string): Promise<string> {
    while (!this.text.includes(wanted)) {
      await new Promise(resolve => this.response.once('data', resolve))
    }
    return this.text
  }

  /** Resolves once the stream has ended or broken. */
  async ended(): Promise<string> {
    if (!this.response.closed) await new Promise(resolve => this.response.once('close', resolve))
    return this.text
  }
}

/** Connects a client made of nothing but Node's `http`; rejects with `data.status` when refused. */
export async function connectSse(
  url: string,
  handler: Partial<LinkHandler> = {},
  protocols: readonly string[] = [],
): Promise<ConformanceClient> {
  const place = new URL(url)
  for (const name of protocols) place.searchParams.append('protocol', name)
  const stream = await RawStream.open(place.href)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const events = new EventReader()
  let queue: string[] = []
  let posting = false
  let ending: readonly [number, string] = [1006, '']

  const read = (text: string) => {
    for (const data of events.read(text)) {
      for (const part of JSON.parse(data) as string[]) {
        if (part[0] === 't') handler.frame?.(part.slice(1))
        if (part[0] === 'b') handler.frame?.(Buffer.from(part.slice(1), 'base64'))
        if (part[0] === 'c') ending = [Number(part.slice(1, 5)), part.slice(6)]
      }
    }
  }
  const postAll = async () => {
    if (posting) return
    posting = true
    while (queue.length > 0) {
      const body = JSON.stringify(queue.splice(0))
      // When one fails, the stream says why.
      const answer = await ask(stream.postUrl, { method: 'POST', body, agent }).catch(() => undefined)
      if (answer?.status !== 204) queue = []
    }
    posting = false
  }
  const push = (part: string) => {
    queue.push(part)
    queueMicrotask(() => void postAll())
  }

  read(stream.text)
  stream.response.on('data', read)
  stream.response.on('close', () => {
    agent.destroy()
    handler.closed?.(...ending)
  })
  return {
    protocol: String(stream.response.headers['socketstream-protocol'] ?? ''),
    send: (frame: Frame) =>
      push(typeof frame === 'string' ? `t${frame}` : `b${Buffer.from(frame).toString('base64')}`),
    close: (code, reason) => push(`c${code} ${reason}`),
    terminate: () => stream.request.destroy(),
    pause: () => void stream.response.pause(),
    resume: () => void stream.response.resume(),
  }
}
