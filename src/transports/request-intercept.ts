import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'

/**
 * Takes some of a server's requests away from its other listeners, which keep all the rest.
 *
 * Listeners present now are called for other requests; with none, these get a 404. Listeners added later
 * see every request.
 *
 * @param takes whether a request is taken
 * @returns gives the requests back
 */
export function interceptRequests(
  server: Server,
  takes: (request: IncomingMessage) => boolean,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): () => void {
  const others = server.listeners('request') as RequestListener[]
  let released = false
  const listener: RequestListener = (request, response) => {
    if (!released && takes(request)) {
      handle(request, response)
    } else if (others.length > 0) {
      for (const other of others) Reflect.apply(other, server, [request, response])
    } else {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Not Found\n')
    }
  }
  server.removeAllListeners('request')
  server.on('request', listener)
  return () => {
    // Once another has intercepted in turn, this one stays in its place and only passes on.
    released = true
    if (!server.listeners('request').includes(listener)) return
    server.off('request', listener)
    for (const other of others) server.on('request', other)
  }
}
