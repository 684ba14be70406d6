import type { Writable } from 'node:stream'
import { WebSocket } from 'ws'
import { createClient, webSocket } from '../client/node.js'
import type { WebSocketClass } from '../client/transport.js'
import { SocketStreamError } from '../errors.js'
import {
  type Hello,
  type HttpFailure,
  type InspectorServer,
  PROTOCOL_VERSION,
} from '../inspector/protocol/index.js'
import type { InspectArguments } from './arguments.js'
import { readScreen } from './read-screen.js'
import { screen } from './screen.js'

/** Moves to the top and clears, for terminals. */
const CLEAR = '\x1b[H\x1b[2J\x1b[3J'

/**
 * Prints what a server does, once or until it is interrupted; comes back when the server does.
 *
 * @throws SocketStreamError `NOT_CONNECTED` when the inspector cannot be reached or does not let it in
 */
export async function inspect(
  wanted: InspectArguments,
  out: Writable & { readonly isTTY?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const hello = await greet(wanted)
  const headers = authorization(wanted)
  const Socket = class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols, { headers })
    }
  }
  const client = createClient<InspectorServer>({
    url: `${wanted.url.replace(/^http/, 'ws')}/socket`,
    transport: webSocket(Socket as unknown as WebSocketClass),
    reconnect: wanted.once ? false : { minDelay: 250, maxDelay: 5000 },
  })
  await client.connect()
  try {
    if (wanted.once) {
      const text = wanted.json
        ? `${JSON.stringify(await client.api.inspector.snapshot(), null, 2)}\n`
        : screen(await readScreen(client.api.inspector, hello))
      await write(out, text)
      return
    }
    while (!signal.aborted) await follow(client, wanted, out, hello, signal)
  } finally {
    client.close()
  }
}

/** Follows until the connection is lost, and then until there is one again. */
async function follow(
  client: ReturnType<typeof createClient<InspectorServer>>,
  { json }: InspectArguments,
  out: Writable & { readonly isTTY?: boolean },
  hello: Hello,
  signal: AbortSignal,
): Promise<void> {
  const { inspector } = client.api
  const items = inspector.watch({ services: !json })[Symbol.asyncIterator]()
  const end = (): void => void items.return?.()
  signal.addEventListener('abort', end, { once: true })
  try {
    for (let next = await items.next(); next.done !== true && !signal.aborted; next = await items.next()) {
      const text = json
        ? `${JSON.stringify(next.value)}\n`
        : `${out.isTTY ? CLEAR : ''}${screen(await readScreen(inspector, hello))}${out.isTTY ? '' : '\n'}`
      await write(out, text)
    }
  } catch (error) {
    if (signal.aborted) return
    if (client.status === 'closed') throw error
    await connected(client, signal)
  } finally {
    signal.removeEventListener('abort', end)
  }
}

function connected(
  client: ReturnType<typeof createClient<InspectorServer>>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      if (client.status !== 'connected' && client.status !== 'closed' && !signal.aborted) return
      off()
      signal.removeEventListener('abort', look)
      resolve()
    }
    const off = client.on('status', look)
    signal.addEventListener('abort', look)
    look()
  })
}

/** Asks over HTTP first: a WebSocket that is refused does not say why. */
async function greet(wanted: InspectArguments): Promise<Hello> {
  let response: Response
  try {
    response = await fetch(`${wanted.url}/api/hello`, { headers: authorization(wanted), redirect: 'error' })
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    throw failed(`${wanted.url} cannot be reached${cause?.code === undefined ? '' : ` (${cause.code})`}`)
  }
  const text = await response.text()
  if (!response.ok) {
    const said = readFailure(text)
    const hint = response.status === 401 ? '; give its token with --token' : ''
    throw failed(`${wanted.url} answers ${response.status}${said && `: ${said}`}${hint}`)
  }
  const hello = JSON.parse(text) as Hello
  if (hello.protocol === PROTOCOL_VERSION) return hello
  throw failed(
    `the inspector has version ${hello.protocol}, this command ${PROTOCOL_VERSION}: take the server's own`,
  )
}

function readFailure(text: string): string {
  try {
    return (JSON.parse(text) as HttpFailure).error.message
  } catch {
    return ''
  }
}

function authorization({ token }: InspectArguments): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` }
}

function failed(message: string): SocketStreamError {
  return new SocketStreamError('NOT_CONNECTED', message)
}

/** Resolves when it has been taken: the next sample waits for a slow reader. */
function write(out: Writable, text: string): Promise<void> {
  return new Promise(resolve => out.write(text, () => resolve()))
}
