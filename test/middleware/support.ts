import type { Middleware, MiddlewareFactory } from '../../src/middleware/middleware.js'
import type { ServerOptions } from '../../src/options.js'
import type { Responder, ServiceDefinition } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

/** Sends messages back and answers calls with what they carry. */
export const echo = {
  use: { json: true, callbacks: true },
  server(server) {
    server.onmessage = (message, request, reply) => {
      if (request.kind === 'message') server.send(request.connectionId, message)
      else reply(message)
    }
    server.onsubscribe = () => undefined
  },
} satisfies ServiceDefinition

/** A promise and how to settle it. */
export function deferred<T = void>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** A service whose calls and messages stay open until the test ends them. */
export function open() {
  const calls: Responder[] = []
  const messages: ReturnType<typeof deferred<void>>[] = []
  let wake: (() => void) | undefined
  const definition = {
    use: { json: true, callbacks: true },
    server(server) {
      server.oncall = (_request, responder) => {
        calls.push(responder)
        wake?.()
      }
      server.onmessage = () => {
        const message = deferred()
        messages.push(message)
        wake?.()
        return message.promise
      }
    },
  } satisfies ServiceDefinition
  /** Waits until this many requests have come to the service in all. */
  const reached = async (count: number) => {
    while (calls.length + messages.length < count) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  return { definition, calls, messages, reached }
}

/** A started server with this chain before its services, the first of which has the id 1. */
export async function start(
  chain: (Middleware | MiddlewareFactory)[],
  services: Record<string, ServiceDefinition> = { echo },
  options: Partial<ServerOptions> = {},
) {
  const made = testServer(options)
  for (const middleware of chain) made.app.use(middleware)
  for (const [name, definition] of Object.entries(services)) made.app.service(name, definition)
  await made.app.start()
  return {
    ...made,
    client: await WireClient.open(made.transport),
    another: () => WireClient.open(made.transport),
  }
}

/** Waits until all that a client has sent so far is behind it, by a ping, and gives what came meanwhile. */
export async function settled(client: WireClient) {
  const before = client.frames.length
  client.send([19, 0])
  while (!client.frames.slice(before).some(frame => frame[0] === 20)) await client.next()
  return client.frames.slice(before).filter(frame => frame[0] !== 20)
}
