import type { IncomingMessage, ServerResponse } from 'node:http'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { type ServedAsset, serviceAssets } from './assets.js'
import { type BrowserSource, buildClient } from './build-client.js'
import type { ClientBuildOptions } from './plan.js'
import { ServedFile } from './served-file.js'

/** Options of `clientHandler`: those of `buildClient`, and what is served beside the module. */
export interface ClientHandlerOptions extends ClientBuildOptions {
  /** Whether the source map is served. Default only where errors are shown in full. */
  readonly sourceMap?: boolean
}

/** Serves the client over HTTP: for `node:http`, Connect and Express. */
export interface ClientHandler {
  /** Answers, or calls `next` where the path is another's; without a `next` that is a 404. */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void
  /** Whether a path is served here; a query is left aside. */
  takes(path: string): boolean
  /** Answers: the handler as a route. */
  request(request: IncomingMessage, response: ServerResponse): void
  /**
   * The path of the client with the hash of its contents, which browsers may keep for a year.
   *
   * @throws SocketStreamError as `buildClient` does
   */
  url(): Promise<string>
}

/** What the handler is given by the server. */
export interface HandlerSource extends BrowserSource {
  readonly exposeErrors: boolean
  readonly log: Logger
}

const BASE = '/socketstream/'
const CLIENT = `${BASE}client.js`
const METHODS = 'GET, HEAD'

const TYPES = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  map: 'application/json; charset=utf-8',
  'd.ts': 'application/typescript; charset=utf-8',
} as const

/**
 * Makes the handler that serves the client at `/socketstream/client.js`, with what goes with it.
 *
 * The client is built when it is first asked for. A build that fails is answered 500, logged, and
 * tried again at the next request.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function clientHandler(
  source: HandlerSource,
  { sourceMap = source.exposeErrors, ...options }: ClientHandlerOptions = {},
): ClientHandler {
  if (typeof sourceMap !== 'boolean') {
    throw new SocketStreamError('INVALID_OPTION', '`sourceMap` must be true or false')
  }
  const files = new ClientFiles(source, options, sourceMap)

  const request = (request: IncomingMessage, response: ServerResponse): void => {
    const { path, version } = parse(request)
    const found = files.find(path)
    if (found === undefined) return say(response, 404, 'There is no such file here.')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return say(response, 405, `Only ${METHODS} are answered here.`, { Allow: METHODS })
    }
    found()
      .then(file => file.answer(request, response, version))
      .catch(error => {
        source.log.error(`${path} cannot be served`, { error })
        if (response.headersSent) return void response.destroy()
        const why =
          source.exposeErrors && error instanceof Error ? error.message : 'see the log of the server'
        say(response, 500, `The file cannot be served: ${why}`)
      })
  }
  const takes = (path: string): boolean => files.find(withoutQuery(path)) !== undefined

  return Object.assign(
    (incoming: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void => {
      if (next !== undefined && !takes(parse(incoming).path)) return next()
      request(incoming, response)
    },
    { takes, request, url: async () => `${CLIENT}?v=${(await files.client()).code.hash}` },
  )
}

interface Client {
  readonly code: ServedFile
  readonly map: ServedFile
  readonly types: ServedFile
}

/** What is served, by path: a table, so that nothing else can be asked for. */
class ClientFiles {
  readonly #source: BrowserSource
  readonly #options: ClientBuildOptions
  readonly #sourceMap: boolean
  readonly #assets = new Map<string, ServedFile>()
  #client: Promise<Client> | undefined

  constructor(source: BrowserSource, options: ClientBuildOptions, sourceMap: boolean) {
    this.#source = source
    this.#options = options
    this.#sourceMap = sourceMap
  }

  /** How to get the file of a path; undefined if nothing is served there. */
  find(path: string): (() => Promise<ServedFile>) | undefined {
    if (!path.startsWith(BASE)) return undefined
    if (path === CLIENT) return async () => (await this.client()).code
    if (path === `${CLIENT}.map`) return this.#sourceMap ? async () => (await this.client()).map : undefined
    if (path === `${BASE}client.d.ts`) return async () => (await this.client()).types
    const asset = serviceAssets(this.#source.services).find(asset => pathOf(asset) === path)
    return asset && (() => this.#asset(asset))
  }

  /** The client, built once; again after a failure. */
  client(): Promise<Client> {
    this.#client ??= this.#build().catch(error => {
      this.#client = undefined
      throw error
    })
    return this.#client
  }

  async #build(): Promise<Client> {
    const { code, map, types } = await buildClient(this.#source, this.#options)
    return {
      code: new ServedFile(code, TYPES.js, this.#sourceMap ? { SourceMap: `${CLIENT}.map` } : {}),
      map: new ServedFile(map, TYPES.map),
      types: new ServedFile(types, TYPES['d.ts']),
    }
  }

  /** The contents may change while the server runs; what is kept is of the last. */
  async #asset(asset: ServedAsset): Promise<ServedFile> {
    const text = await asset.contents()
    const kept = this.#assets.get(pathOf(asset))
    if (kept?.text === text) return kept
    const file = new ServedFile(text, TYPES[asset.type])
    this.#assets.set(pathOf(asset), file)
    return file
  }
}

function pathOf({ service, path }: ServedAsset): string {
  return `${BASE}${service}/${encodeURI(path)}`
}

/** Connect and Express take the place where a handler is mounted off the `url`. */
function parse(request: IncomingMessage & { originalUrl?: string }): {
  path: string
  version: string | null
} {
  const url = request.originalUrl ?? request.url ?? '/'
  return {
    path: withoutQuery(url),
    version: new URLSearchParams(url.slice(withoutQuery(url).length)).get('v'),
  }
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0]!
}

function say(response: ServerResponse, status: number, message: string, headers = {}): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...headers,
  })
  response.end(`${message}\n`)
}
