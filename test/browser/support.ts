import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { createClient, SocketStreamError, webSocket } from '../../src/client/index.js'
import type { ServerOptions } from '../../src/index.js'
import { Server } from '../../src/server.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import type { Transport } from '../../src/transports/transport.js'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  vi.unstubAllGlobals()
})

/** Does this when the test has ended. */
export function afterwards(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}

/** A folder with these files, that goes with the test. */
export function folder(files: Readonly<Record<string, string>> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'browser-'))
  afterwards(() => rmSync(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

/** An app of these services on a server that listens, with the lines that it logs. */
export async function serve(
  transports: (server: ReturnType<typeof createServer>) => Transport[],
  services: Readonly<Record<string, ServiceDefinition>>,
  options: Partial<Pick<ServerOptions, 'root' | 'env' | 'client'>> = {},
) {
  const http = createServer()
  const log: string[] = []
  const app = new Server({
    env: 'test',
    // Tests mount the handler themselves, with options of theirs.
    client: false,
    ...options,
    transport: transports(http),
    log: (line: unknown, details: unknown) => log.push(`${line} ${(details as { error?: unknown })?.error}`),
  })
  for (const [name, definition] of Object.entries(services)) app.service(name, definition)
  await app.start()
  await once(http.listen(0), 'listening')
  afterwards(async () => {
    await app.stop({ drain: 0 })
    const closed = once(http.close(), 'close')
    http.closeAllConnections()
    await closed
  })
  const origin = `http://localhost:${(http.address() as AddressInfo).port}`
  return { app, http, origin, log }
}

/** What a built client exports. */
export interface BuiltClient {
  // biome-ignore lint/suspicious/noExplicitAny: it is typed by its own declarations, not by these
  createClient(options?: object): ReturnType<typeof createClient<any>>
  SocketStreamError: typeof SocketStreamError
  webSocket: typeof webSocket
}

/**
 * Runs a built client in this process, as if it had come from a server.
 *
 * @param origin of the server; without it the module comes from a file
 */
export async function load(code: string, origin?: string): Promise<BuiltClient> {
  const place = origin === undefined ? 'import.meta.url' : JSON.stringify(`${origin}/socketstream/client.js`)
  const file = join(folder({ 'client.mjs': code.replaceAll('import.meta.url', place) }), 'client.mjs')
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

/** What `engine.io-client` itself uses in Node, and not in a bundle for browsers. */
const XHR = 'xmlhttprequest-ssl'

/** Gives the globals of browsers that clients use. To be called before one is loaded. */
export function likeBrowser(): void {
  vi.stubGlobal('WebSocket', WebSocket)
  const require = createRequire(createRequire(import.meta.url).resolve('engine.io-client'))
  vi.stubGlobal('XMLHttpRequest', require(XHR).XMLHttpRequest)
  vi.stubGlobal('FileReader', Reader)
}

/** As much of a `FileReader` as Engine.IO asks of one. */
class Reader {
  result: string | undefined
  onload: (() => void) | undefined

  async readAsDataURL(blob: Blob): Promise<void> {
    const bytes = Buffer.from(await blob.arrayBuffer())
    this.result = `data:;base64,${bytes.toString('base64')}`
    this.onload?.()
  }
}
