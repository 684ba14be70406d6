import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What sees the requests and upgrades of a server before all of its listeners. */
export interface Interceptor {
  /** Decides on a request; `passOn` hands it to the server's listeners, and is false if it has none. */
  request(request: IncomingMessage, response: ServerResponse, passOn: () => boolean): void
  /** Decides on an upgrade; `passOn` hands it to the server's listeners. */
  upgrade(request: IncomingMessage, head: Buffer, passOn: () => void): void
  /** Answers an upgrade that was passed on, and that the server has no other listener for. */
  unwanted(request: IncomingMessage): void
}

/**
 * Sees a server's requests and upgrades before its listeners do, whenever these are added or removed.
 *
 * By its `emit`, as a listener could keep nothing from the others: `ws` answers 400 to upgrades on paths
 * that are not its own, and engine.io ends them after a second.
 *
 * @returns gives all back to the listeners
 */
export function intercept(server: Server, interceptor: Interceptor): () => void {
  const emitBefore = server.emit
  const patched = Object.hasOwn(server, 'emit')
  let released = false

  const emit = (event: string | symbol, ...args: unknown[]): boolean => {
    const passOn = (): boolean => Reflect.apply(emitBefore, server, [event, ...args])
    if (released || (event !== 'request' && event !== 'upgrade')) return passOn()
    const [request, other, head] = args
    if (event === 'request') {
      interceptor.request(request as IncomingMessage, other as ServerResponse, passOn)
    } else interceptor.upgrade(request as IncomingMessage, head as Buffer, passOn)
    return true
  }

  /** Node takes no upgrades without a listener; there is this one as long as there is no other. */
  const placeholder = (request: IncomingMessage): void => {
    if (wantsWebSocket(request) || !answerAsRequest(server, request)) interceptor.unwanted(request)
  }
  const added = (event: string | symbol, listener: unknown): void => {
    if (event === 'upgrade' && listener !== placeholder) server.off('upgrade', placeholder)
  }
  const removed = (event: string | symbol, listener: unknown): void => {
    if (event !== 'upgrade' || listener === placeholder) return
    if (server.listenerCount('upgrade') === 0) server.on('upgrade', placeholder)
  }

  server.emit = emit as typeof server.emit
  if (server.listenerCount('upgrade') === 0) server.on('upgrade', placeholder)
  server.on('newListener', added).on('removeListener', removed)
  return () => {
    released = true
    server.off('newListener', added).off('removeListener', removed).off('upgrade', placeholder)
    // Where another has patched it since, it stays and only passes on.
    if (server.emit !== (emit as typeof server.emit)) return
    if (patched) server.emit = emitBefore
    else Reflect.deleteProperty(server, 'emit')
  }
}

/** Whether an upgrade is one to WebSocket. */
export function wantsWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * Ignores the wish for another protocol, such as that of `curl --http2`, as a server without upgrades does.
 *
 * Node has let go of the socket by now: the answer is the last on it.
 *
 * @returns false for a request with a body, which can no longer be read
 */
export function answerAsRequest(server: Server, request: IncomingMessage): boolean {
  const { headers, socket } = request
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0) return false
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  socket.on('error', destroy)
  response.assignSocket(socket)
  response.on('finish', () => {
    response.detachSocket(socket)
    socket.destroySoon()
  })
  server.emit('request', request, response)
  return true
}

/** Not a closure, which would keep the request in memory as long as the socket. */
function destroy(this: Socket): void {
  this.destroy()
}
