import { invalidOption } from './option-checks.js'
import type { Handshake } from './transport.js'

/**
 * Which web pages may connect.
 *
 * `'*'`: all; an array: pages of these origins; a function: asked with the `Origin` header, which is
 * undefined when the client is no browser. Not given: pages from the host that they connect to.
 */
export type Origins =
  | '*'
  | readonly string[]
  | ((origin: string | undefined, handshake: Handshake) => boolean)

/** Whether a client with this handshake, which asked for this host, may connect. */
export type OriginCheck = (handshake: Handshake, host: string | undefined) => boolean

/**
 * Compiles an `origins` option.
 *
 * But for the function, all take clients that send no `Origin`: only browsers send one, and only
 * browsers can be made to connect without their user's will (RFC 6455, 10.2).
 *
 * @param factory name of the function whose option it is, for the message
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function originCheck(factory: string, origins: Origins | undefined): OriginCheck {
  if (origins === undefined) return sameHost
  if (origins === '*') return () => true
  if (typeof origins === 'function') return handshake => origins(handshake.headers.origin, handshake)
  if (!Array.isArray(origins)) throw wrongOrigins(factory, origins)
  const allowed = new Set(origins.map(origin => normalise(factory, origin)))
  return ({ headers: { origin } }) => origin === undefined || allowed.has(origin.toLowerCase())
}

/**
 * Compiles whether a cookie may say who a client is, which is more than that it may connect.
 *
 * The page must be of the server's own scheme, host and port, or be listed in the option, or be passed by its
 * function; `null` and `'*'` name no page. Over HTTP, where requests of one's own pages may lack an `Origin`,
 * the browser must say that it is one (`Sec-Fetch-Site`). A WebSocket without an `Origin` is no browser's.
 *
 * @param factory name of the function whose option it is, for the message
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function cookieCheck(factory: string, origins: Origins | undefined): OriginCheck {
  const listed = origins === undefined || origins === '*' ? undefined : originCheck(factory, origins)
  return (handshake, host) => {
    const { origin, upgrade, 'sec-fetch-site': site } = handshake.headers
    if (origin === undefined) return upgrade !== undefined || site === 'same-origin'
    if (origin.toLowerCase() === 'null') return false
    if (listed?.(handshake, host)) return true
    // A page can send headers of a proxy with its HTTP requests, such as another host, but not this one.
    if (upgrade === undefined && site !== undefined && site !== 'same-origin') return false
    return isOwn(handshake, host)
  }
}

/** Whether a page has the scheme, host and port that the client asked for. */
function isOwn(handshake: Handshake, host: string | undefined): boolean {
  const scheme = handshake.secure ? 'https:' : 'http:'
  return sameHost(handshake, host) && handshake.headers.origin?.toLowerCase().startsWith(scheme) === true
}

function sameHost({ headers: { origin } }: Handshake, host: string | undefined): boolean {
  if (origin === undefined) return true
  if (host === undefined || !URL.canParse(origin)) return false
  const page = new URL(origin)
  // A page of the web has an origin of just this form; extensions and apps are to be named in the option.
  if (page.origin !== origin.toLowerCase() || !/^https?:$/.test(page.protocol)) return false
  // Read with the page's scheme, so that a default port spelt out equals one left out.
  const asked = `${page.protocol}//${host}`
  return page.host !== '' && URL.canParse(asked) && new URL(asked).host === page.host
}

function normalise(factory: string, origin: unknown): string {
  if (origin === 'null') return origin
  if (typeof origin !== 'string' || !URL.canParse(origin)) throw wrongOrigins(factory, origin)
  const url = new URL(origin)
  if (url.host === '' || url.pathname.length > 1 || url.search !== '') throw wrongOrigins(factory, origin)
  // `url.origin` is 'null' for the schemes of browser extensions and apps.
  return `${url.protocol}//${url.host}`
}

function wrongOrigins(factory: string, value: unknown) {
  return invalidOption(factory, 'origins', value, {
    wants: "'*', a function, or whole origins in an array",
    fix: "origins: ['https://example.com']",
  })
}
