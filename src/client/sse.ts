import type { Frame } from '../codec/codec.js'
import { EventReader } from './event-reader.js'
import type { ClientLink, ClientLinkHandler, ClientTransport } from './transport.js'

/** Options of `sse`. */
export interface SseClientOptions {
  /** Further headers of every request, such as `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Milliseconds that the stream has to say why a request failed, or that a last request may take. */
const PATIENCE = 2_000
/** Times that a request is repeated of which nobody knows whether it arrived, and milliseconds before the first time. */
const REPEATS = 5
const DELAY = 100
/** Frames in one request; the server takes ten times as many. */
const MAX_FRAMES = 1_000
/** Bytes that a character of a string may have in UTF-8. */
const MAX_BYTES = 3
/** Bytes given to `String.fromCharCode` at once, which takes no more than some ten thousand. */
const CHUNK = 8192

/**
 * Links over Server-Sent Events and POSTs, by `fetch`: for browsers and Node.
 *
 * The path of the client's `url` is where the server has it; without one it is `/sse`.
 *
 * @example
 * const client = createClient({ url: 'http://localhost:3001', transport: sse() })
 */
export function sse({ headers = {} }: SseClientOptions = {}): ClientTransport {
  return {
    open(url, protocols, handler) {
      try {
        return new SseLink(addressOf(url, protocols), { credentials: 'include', headers }, handler)
      } catch (error) {
        // A URL that is none. 1002, as trying again would not change it.
        queueMicrotask(() => handler.closed(1002, (error as Error).message))
        return { send() {}, close() {} }
      }
    },
  }
}

class SseLink implements ClientLink {
  readonly #url: URL
  readonly #init: RequestInit
  readonly #handler: ClientLinkHandler
  readonly #stream = new AbortController()
  /** Of its own for each, as a signal keeps what listens to it. */
  #request: AbortController | undefined
  /** Frames to be sent, as JSON. */
  #queue: string[] = []
  /** How many the server has taken. */
  #sent = 0
  /** Bytes in the largest request; 0 until the link is open. */
  #maxBody = 0
  #closing = false
  #over = false
  /** What is said once the stream has ended, or the time is over. */
  #ending = { code: 1006, reason: '' }
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(url: URL, init: { headers: Record<string, string> } & RequestInit, handler: ClientLinkHandler) {
    this.#url = url
    this.#init = init
    this.#handler = handler
    // Throws when it cannot be fetched, as with a password in it.
    const request = new Request(url, {
      ...this.#init,
      cache: 'no-store',
      signal: this.#stream.signal,
      headers: { ...init.headers, Accept: 'text/event-stream' },
    })
    void this.#receive(request)
  }

  send(frame: Frame): void {
    if (this.#closing || this.#over) return
    this.#enqueue(typeof frame === 'string' ? `t${frame}` : `b${base64(frame)}`)
  }

  close(code: number, reason: string): void {
    if (this.#closing || this.#over) return
    this.#closing = true
    if (this.#maxBody === 0) return this.#fail(1006, '', 0)
    this.#enqueue(`c${code} ${reason}`)
    this.#fail(code, reason)
  }

  #enqueue(part: string): void {
    this.#queue.push(JSON.stringify(part))
    // What is sent in one go leaves in one request.
    queueMicrotask(() => void this.#post())
  }

  /** Reads the stream to its end. */
  async #receive(request: Request): Promise<void> {
    try {
      const response = await fetch(request)
      const type = response.headers.get('content-type') ?? ''
      if (!response.ok) throw new Error(`The server answered ${response.status}`)
      if (!response.body || !type.startsWith('text/event-stream')) throw new Error('The answer is no stream')
      const reader = response.body.getReader()
      const decoder = new TextDecoder()
      const events = new EventReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) break
        for (const event of events.read(decoder.decode(value, { stream: true }))) this.#event(event)
      }
      this.#end()
    } catch (error) {
      this.#ending.reason ||= messageOf(error)
      this.#end()
    }
  }

  #event(data: string): void {
    for (const part of JSON.parse(data) as string[]) {
      const rest = part.slice(1)
      if (this.#over) return
      if (part[0] === 't') this.#handler.frame(rest)
      else if (part[0] === 'b') this.#handler.frame(bytesOf(rest))
      else if (part[0] === 'o') this.#opened(rest)
      else if (part[0] === 'c') this.#closed(rest)
    }
  }

  #opened(text: string): void {
    if (this.#closing) return
    const [id = '', maxBody] = text.split(' ')
    this.#url.searchParams.delete('protocol')
    this.#url.searchParams.set('link', id)
    this.#maxBody = Number(maxBody)
    this.#handler.opened()
    void this.#post()
  }

  #closed(text: string): void {
    this.#ending = { code: Number(text.slice(0, 4)), reason: text.slice(5) }
    this.#end()
  }

  /** Sends what waits, one request after the other's answer: so the order holds. */
  async #post(): Promise<void> {
    if (this.#request || this.#over || this.#maxBody === 0) return
    while (this.#queue.length > 0) {
      this.#request = new AbortController()
      const parts = this.#take()
      this.#url.searchParams.set('from', `${this.#sent}`)
      const { signal } = this.#request
      const init = { ...this.#init, method: 'POST', body: `[${parts.join()}]`, signal }
      for (let repeats = 0; ; repeats++) {
        const { ok, status, reason } = await this.#ask(init)
        if (this.#over) return
        if (ok) break
        // Whether the frames arrived may be unknown; by their number the server takes them once.
        const isUnknown = status === 0 || (status > 501 && status < 505)
        if (!isUnknown || repeats === REPEATS) return this.#fail(status === 413 ? 1009 : 1006, reason)
        await new Promise(resolve => setTimeout(resolve, DELAY * 2 ** repeats))
        if (this.#over) return
      }
      this.#sent += parts.length
    }
    this.#request = undefined
    if (this.#closing) this.#end()
  }

  /** Status 0: no answer. */
  async #ask(init: RequestInit): Promise<{ ok: boolean; status: number; reason: string }> {
    try {
      const { ok, status } = await fetch(this.#url, init)
      return { ok, status, reason: `The server answered ${status}` }
    } catch (error) {
      return { ok: false, status: 0, reason: messageOf(error) }
    }
  }

  /** As much of what waits as one request holds, and no less than one. */
  #take(): string[] {
    let size = 0
    const end = this.#queue.findIndex((part, i) => {
      size += part.length * MAX_BYTES + 1
      return i === MAX_FRAMES || (i > 0 && size > this.#maxBody)
    })
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end)
  }

  /** Ends the link in a while, unless the stream ends before. */
  #fail(code: number, reason: string, patience = PATIENCE): void {
    this.#closing = true
    if (this.#timer !== undefined || this.#over) return
    this.#ending = { code, reason }
    this.#timer = setTimeout(() => this.#end(), patience)
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#stream.abort()
    this.#request?.abort()
    this.#queue = []
    this.#handler.closed(this.#ending.code, this.#ending.reason)
  }
}

function addressOf(url: string, protocols: readonly string[]): URL {
  const address = new URL(url)
  // `ws:` and `wss:` are the same to the user; `fetch` wants the other names.
  const http = new URL(address.href.replace(/^ws/, 'http'))
  if (!/^https?:$/.test(http.protocol)) throw new Error(`${address.protocol} is neither http: nor https:`)
  if (http.pathname === '/') http.pathname = '/sse'
  for (const name of protocols) http.searchParams.append('protocol', name)
  return http
}

/** Base64 of bytes; `Buffer` is not to be had in browsers, `Uint8Array.toBase64` not yet everywhere. */
function base64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(i, i + CHUNK))
  }
  return btoa(text)
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/** Node says in the cause what browsers keep to themselves. */
function messageOf(error: unknown): string {
  const { message, cause } = error as Error
  return (cause as Error | undefined)?.message || message
}
