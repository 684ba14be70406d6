import type { Frame } from '../codec/codec.js'

/** The client's end of a transport: opens links. */
export interface ClientTransport {
  /**
   * Opens a link. It MUST call `opened` and then `frame`s in order, and MUST call `closed` exactly
   * once, also when the link could not be opened; nothing after that.
   *
   * @param protocols subprotocols to offer
   */
  open(url: string, protocols: readonly string[], handler: ClientLinkHandler): ClientLink
}

/** Whether the call of an id has reached the server. */
export type Accepted = (id: number) => boolean | 'unknown'

/** What the client does with a link's events. */
export interface ClientLinkHandler {
  opened(): void
  frame(frame: Frame): void
  /**
   * 1006 when the link broke or never opened.
   *
   * @param accepted by a link that is resumed: tells which calls have reached the server
   */
  closed(code: number, reason: string, accepted?: Accepted): void
  /** By a link that is resumed: how it was lost; nothing when it is back. */
  resuming?(lost?: { readonly code: number; readonly reason: string }): void
}

/** An open or opening link; once it is closed, `send` and `close` MUST do nothing. */
export interface ClientLink {
  /** Whether calls and messages should wait until `resuming()`. */
  readonly full?: boolean
  /** Nothing was heard for too long; without it the link is closed then. */
  lost?(): void
  /** @param id of a call; 0 or nothing for what is none */
  send(frame: Frame, id?: number): void
  close(code: number, reason: string): void
}

/** The standard `WebSocket`, as far as it is used here. */
export interface WebSocketLike {
  binaryType: string
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  onerror: ((event: { message?: string }) => void) | null
  send(data: Frame): void
  close(code?: number, reason?: string): void
}

/** A constructor of `WebSocketLike`s. */
export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike

/** Links over a `WebSocket` class: the browser's unless another is given. */
export function webSocket(
  WebSocket: WebSocketClass = (globalThis as unknown as { WebSocket: WebSocketClass }).WebSocket,
): ClientTransport {
  return {
    open(url, protocols, handler) {
      let problem: string | undefined
      let socket: WebSocketLike
      try {
        socket = new WebSocket(url, protocols as string[])
      } catch (error) {
        // A URL that is none. 1002, as trying again would not change it.
        queueMicrotask(() => handler.closed(1002, (error as Error).message))
        return { send() {}, close() {} }
      }
      socket.binaryType = 'arraybuffer'
      socket.onopen = () => handler.opened()
      socket.onmessage = ({ data }) =>
        handler.frame(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
      // An error is always followed by a close. Browsers keep to themselves what it was.
      socket.onerror = ({ message }) => {
        problem = message
      }
      socket.onclose = ({ code, reason }) => handler.closed(code, reason || problem || '')
      return socket
    },
  }
}
