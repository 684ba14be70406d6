import SockJS from 'sockjs-client'
import type { ClientTransport } from './transport.js'

/** Options of `sockJs`, handed on to `sockjs-client`. */
export interface SockJsClientOptions {
  /** The ways to try, in the package's order; such as `websocket`, `xhr-streaming`. Default all. */
  readonly transports?: string | readonly string[]
  /** Milliseconds that each way may take to connect. Default by the time a round trip takes. */
  readonly timeout?: number
}

/** Longest close reason that the package takes. */
const REASON_LENGTH = 123

/**
 * Links over SockJS, by the package `sockjs-client`, in browsers and in Node.
 *
 * It carries text: use it with the JSON client.
 *
 * @example
 * import { createClient } from 'socketstream-server/client/json'
 * const client = createClient({ url: 'http://localhost:3001/sockjs', transport: sockJs() })
 */
export function sockJs({ transports, ...options }: SockJsClientOptions = {}): ClientTransport {
  const list = typeof transports === 'string' ? transports : transports && [...transports]
  return {
    open(url, protocols, handler) {
      let socket: WebSocket
      try {
        const address = new URL(url)
        // `ws:` and `wss:` are the same to the user; SockJS wants the other names.
        const base = address.href.replace(/^ws/, 'http')
        const query = protocols.map(name => `protocol=${encodeURIComponent(name)}`).join('&')
        const offer = query && (address.search ? `&${query}` : `?${query}`)
        socket = new SockJS(base + offer, undefined, { ...options, ...(list && { transports: list }) })
      } catch (error) {
        // A URL that is none. 1002, as trying again would not change it.
        queueMicrotask(() => handler.closed(1002, (error as Error).message))
        return { send() {}, close() {} }
      }
      let wrong: string | undefined
      let opened = false
      socket.onopen = () => {
        opened = true
        handler.opened()
      }
      socket.onmessage = ({ data }) => {
        if (wrong === undefined) handler.frame(String(data))
      }
      socket.onclose = ({ code, reason }) => {
        if (wrong !== undefined) handler.closed(1002, wrong)
        // The package has codes of its own for links that failed.
        else if ((!opened && code === 1002) || (code >= 2000 && code < 3000)) handler.closed(1006, reason)
        else handler.closed(code, reason)
      }
      return {
        send(frame) {
          if (typeof frame === 'string') return socket.send(frame)
          wrong ??= "SockJS carries text only: take createClient from 'socketstream-server/client/json'"
          socket.close()
        },
        close(code, reason) {
          const allowed = code === 1000 || (code >= 3000 && code <= 4999)
          socket.close(allowed ? code : 1000, reason.slice(0, REASON_LENGTH))
        },
      }
    },
  }
}
