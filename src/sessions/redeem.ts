import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { OneTimeCodes } from './codes.js'
import type { SessionIdentity } from './identity.js'
import type { StoredSession } from './session.js'

/** What a redeemed code needs. */
export interface RedeemInit {
  readonly codes: OneTimeCodes
  readonly identity: SessionIdentity
  /** The session that the cookie is to name; undefined when that is over. */
  read(id: string, secure: boolean): Promise<StoredSession | undefined>
  /** The session that it took the place of is over. */
  replaced(id: string): void
}

/** Bytes in the largest body: a code and some. */
const MAX_BODY = 1024

/**
 * Answers `POST { "code": "…" }` with the cookie of the session that the code stands for.
 *
 * Only to pages of its own origin, and only to a browser whose cookie names the session that was replaced, or
 * none: otherwise a stranger's page could put its own session in the place of the user's.
 */
export function redeemHandler(
  init: RedeemInit,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    redeem(init, request).then(
      ({ status, headers, replaces = [] }) => {
        // Their connections come back at once, and are to have the new cookie then.
        response.once('close', () => {
          for (const id of replaces) init.replaced(id)
        })
        response.writeHead(status, { 'Cache-Control': 'no-store', ...headers }).end()
      },
      () => {
        if (!response.headersSent) response.writeHead(503, { 'Retry-After': '1' })
        response.end()
      },
    )
  }
}

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly replaces?: readonly string[]
}

async function redeem({ codes, identity, read }: RedeemInit, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'POST') return { status: 405, headers: { Allow: 'POST' } }
  if (!isOwnPage(request)) return { status: 403 }
  const body = await bodyOf(request)
  if (body === undefined) return { status: 413, headers: { Connection: 'close' } }
  const redeemed = codes.redeem(codeIn(body))
  if (redeemed === undefined) return { status: 410 }
  const named = identity.fromCookie(request.headers.cookie)
  const { from, to } = redeemed
  if (named !== undefined && !from.includes(named)) return { status: 403 }
  const session = await read(to, request.socket instanceof TLSSocket)
  if (session === undefined) return { status: 410 }
  return { status: 204, headers: { 'Set-Cookie': identity.cookie(to, session) }, replaces: from }
}

/** Whether the browser says that the request is of a page of the same origin. */
function isOwnPage({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  // Browsers that do not say so; what is no browser has no cookie to be replaced.
  if (headers.origin === undefined) return false
  return URL.canParse(headers.origin) && new URL(headers.origin).host === headers.host
}

function codeIn(body: string): string {
  try {
    const { code } = JSON.parse(body) as { code?: unknown }
    return typeof code === 'string' ? code : ''
  } catch {
    return ''
  }
}

/** The body; undefined when it is too large. One that Express has parsed already is taken from there. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const { body } = request as { body?: unknown }
  if (body !== undefined) return typeof body === 'string' ? body : JSON.stringify(body)
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > MAX_BODY) return undefined
  }
  return text
}
