import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** The files of the page: a table, so that nothing else can be asked for. */
const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'charts.js': 'text/javascript; charset=utf-8',
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

interface PageFile {
  readonly body: Buffer
  readonly tag: string
}

const read = new Map<string, Promise<PageFile>>()

/** Whether a name is one of the page's files. */
export function isPageFile(name: string): boolean {
  return Object.hasOwn(TYPES, name)
}

/** Answers with a file of the page; they are read once. Returns false where it was not built. */
export async function answerFile(
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
  folder = FOLDER,
): Promise<boolean> {
  const url = new URL(name, folder)
  let file = read.get(url.href)
  if (file === undefined) {
    file = load(url)
    read.set(url.href, file)
    file.catch(() => read.delete(url.href))
  }
  let content: PageFile
  try {
    content = await file
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  const { body, tag } = content
  // Never kept without being asked for again: whoever has logged out must not see it.
  const headers = { ...HEADERS, ETag: tag, 'Cache-Control': 'private, no-cache' }
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304, headers).end()
    return true
  }
  response.writeHead(200, { ...headers, 'Content-Type': TYPES[name], 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
  return true
}

async function load(url: URL): Promise<PageFile> {
  const body = await readFile(url)
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  return { body, tag }
}
