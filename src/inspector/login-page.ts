import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { HEADERS } from './page-files.js'

const STYLE = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:1rem}
form{display:grid;gap:.75rem;width:min(22rem,100%)}input,button{font:inherit;padding:.5rem .6rem}h1{font-size:1.1rem;margin:0}p{margin:0}`

const HASH = createHash('sha256').update(STYLE).digest('base64')

/** Answers with the form that asks for the token; it needs no script. */
export function loginPage(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  status: number,
  complaint = '',
): void {
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inspector: log in</title>
<style>${STYLE}</style>
<form method="post" action="${path}/login">
<h1>SocketStream inspector</h1>
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
<p role="alert">${complaint}</p>
</form>
</html>
`
  response.writeHead(status, {
    ...HEADERS,
    // Without one the form would come from nowhere, as a page elsewhere could have it.
    'Referrer-Policy': 'same-origin',
    'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    'WWW-Authenticate': 'Bearer',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
