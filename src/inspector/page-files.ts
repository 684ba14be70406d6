import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** The files of the page: a table, so that nothing else can be asked for. */
const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
}

/** Where the build puts them, seen from `src/` and from `dist/`. */
const FOLDER = new URL(import.meta.url.endsWith('.ts') ? '../../dist/inspector/' : './', import.meta.url)

/** What every answer of the inspector carries: it is of no use to other pages, nor in their frames. */
export const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
}

const read = new Map<string, Promise<{ readonly body: Buffer; readonly tag: string }>>()

/** Whether a name is one of the page's files. */
export function isPageFile(name: string): boolean {
  return Object.hasOwn(TYPES, name)
}

/** Answers with a file of the page; they are read once. */
export async function answerFile(
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let file = read.get(name)
  if (file === undefined) {
    file = load(name)
    read.set(name, file)
    file.catch(() => read.delete(name))
  }
  const { body, tag } = await file
  // Never kept without being asked for again: whoever has logged out must not see it.
  const headers = { ...HEADERS, ETag: tag, 'Cache-Control': 'private, no-cache' }
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, { ...headers, 'Content-Type': TYPES[name], 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

async function load(name: string) {
  const body = await readFile(new URL(name, FOLDER))
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  return { body, tag }
}
