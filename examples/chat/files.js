// @ts-check
/**
 * The page's files, over plain HTTP. The client for browsers is served by the realtime server itself.
 *
 * All are read once, at the start: what is not in the table cannot be asked for.
 */
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'

const PAGE = new URL('./page/', import.meta.url)

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * Reads every file that may be served, by its path on the server.
 *
 * @returns {Promise<Map<string, string | Buffer>>}
 */
export async function readFiles() {
  const files = new Map()
  for (const name of await readdir(PAGE)) files.set(`/${name}`, await readFile(new URL(name, PAGE)))
  return files.set('/', files.get('/index.html'))
}

/**
 * Answers requests with these files.
 *
 * @param {Map<string, string | Buffer>} files
 * @returns {import('node:http').RequestListener}
 */
export function serveFiles(files) {
  return (request, response) => {
    const path = (request.url ?? '/').replace(/\?.*/, '')
    const body = files.get(path)
    response.setHeader('X-Content-Type-Options', 'nosniff')
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end('Only GET and HEAD are answered here.\n')
    } else if (body === undefined) {
      response.writeHead(404).end('There is no such file here.\n')
    } else {
      response.writeHead(200, {
        'Content-Type': TYPES[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream',
        'Content-Length': Buffer.byteLength(body),
        'Content-Security-Policy': "default-src 'self'",
        'Cache-Control': 'no-cache',
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
  }
}
