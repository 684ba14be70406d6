import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  batchSize,
  HttpDoor,
  HttpLink,
  HttpPlace,
  RelayedLinks,
  refuse,
  type StreamOptions,
  streamSettings,
  type Transport,
  writeBatch,
} from './http-kit.js'

/** Options of `sse`. */
export type SseOptions = StreamOptions

/**
 * A transport over plain HTTP: frames leave as Server-Sent Events and come in POSTs.
 *
 * The first event of a stream names its link, and the name is all that a POST needs, to whichever server it comes.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example const app = new Server({ transport: sse({ port: 3001 }) })
 */
export function sse(options: SseOptions = {}): Transport {
  const settings = streamSettings('sse', options, '/sse')
  const { path, maxPayload } = settings
  const door = new HttpDoor('sse', settings)
  const place = new HttpPlace('sse', settings, path, { takes: asked => asked === path, request: answer })
  const links = new RelayedLinks(`sse${path}`, settings)

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!(await door.allows(request, response, ['GET', 'POST']))) return
    if (request.method === 'POST') {
      await links.receive(request, response)
    } else if (request.headers.accept?.includes('text/event-stream')) {
      // The host decides; `open` is called if it accepts.
      await door.admit(request, response, () => open(response))
    } else {
      refuse(response, 406, 'Accept text/event-stream.\n')
    }
  }

  function open(response: ServerResponse): HttpLink {
    const link = new HttpLink(response, {
      ...settings,
      write: batch => `data: ${writeBatch(batch)}\n\n`,
      beat: ':\n\n',
      gone: () => links.delete(link),
    })
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' })
    response.write(`data: ["o${links.name(link)} ${batchSize(maxPayload)}"]\n\n`)
    return link
  }

  return {
    name: 'sse',
    path,
    // Comments get no answer, so that a dead peer is for the protocol's pings to notice.
    capabilities: { binary: true, heartbeat: false, maxFrame: maxPayload, closeCodes: true, pause: true },
    address: () => place.address('http'),
    async start(host) {
      await place.open(host)
      links.open(host)
      door.open(host)
    },
    stopAccepting: () => door.shut(),
    async stop() {
      await place.close(async () => {
        door.drop()
        await links.terminate()
      })
    },
  }
}
