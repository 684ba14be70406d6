import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import { chooseEncoding, type Encoding } from './accept-encoding.js'

/** Pages of any origin may import the module, which holds nothing that is secret. */
const HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'X-Content-Type-Options': 'nosniff',
  Vary: 'Accept-Encoding',
}

const compress = {
  br: promisify(brotliCompress),
  gzip: promisify(gzip),
  identity: async (body: Buffer) => body,
} satisfies Record<Encoding, (body: Buffer) => Promise<Buffer>>

/** A text that is served over HTTP, kept in the encodings that it was asked for in. */
export class ServedFile {
  readonly text: string
  /** Of the text; the same as long as that is. */
  readonly hash: string
  readonly #type: string
  readonly #more: Readonly<Record<string, string>>
  readonly #bodies = new Map<Encoding, Promise<Buffer>>()

  /**
   * @param type for `Content-Type`
   * @param more further headers
   */
  constructor(text: string, type: string, more: Readonly<Record<string, string>> = {}) {
    this.text = text
    this.hash = createHash('sha256').update(text).digest('base64url').slice(0, 22)
    this.#type = type
    this.#more = more
  }

  /**
   * Answers a GET or HEAD.
   *
   * @param version the `v` of the query; a copy with the right one may be kept for a year
   */
  async answer(request: IncomingMessage, response: ServerResponse, version: string | null): Promise<void> {
    const encoding = chooseEncoding(request.headers['accept-encoding']?.toString())
    // A tag is of one representation: a cache must not take the bytes of one for those of another.
    const tag = `"${this.hash}${encoding === 'identity' ? '' : `-${encoding}`}"`
    const headers = {
      ...HEADERS,
      ETag: tag,
      'Cache-Control': version === this.hash ? 'public, max-age=31536000, immutable' : 'no-cache',
    }
    if (matches(request.headers['if-none-match'], tag)) {
      response.writeHead(304, headers).end()
      return
    }
    const body = await this.#body(encoding)
    response.writeHead(200, {
      ...headers,
      ...this.#more,
      'Content-Type': this.#type,
      'Content-Length': body.length,
      ...(encoding !== 'identity' && { 'Content-Encoding': encoding }),
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  #body(encoding: Encoding): Promise<Buffer> {
    let body = this.#bodies.get(encoding)
    if (body === undefined) {
      body = compress[encoding](Buffer.from(this.text))
      this.#bodies.set(encoding, body)
    }
    return body
  }
}

/** Whether an `If-None-Match` has this tag: the weak comparison of RFC 9110, 8.8.3.2. */
function matches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  return [...header.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, candidate]) => candidate === tag)
}
