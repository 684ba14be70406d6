import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import proxyAddr from 'proxy-addr'
import { invalidOption } from './option-checks.js'

/**
 * Which proxies to believe about a client's address, in the forms of Express's `trust proxy`.
 *
 * `false`: none; `true`: all; a number: that many hops nearest to the server; a string or strings:
 * addresses, subnets, or the names `loopback`, `linklocal`, `uniquelocal`; a function: asked with
 * the address and its distance, 0 for the nearest.
 */
export type TrustProxy = boolean | number | string | string[] | ((address: string, hop: number) => boolean)

/** Says what a request's client is, past the proxies that are trusted. */
export interface ClientAddresses {
  /** The client's address; IPv4 without the IPv6 prefix. */
  clientIp(request: IncomingMessage): string
  /** Whether the client speaks TLS, with this process or with a trusted proxy. */
  secure(request: IncomingMessage): boolean
  /** The host and port the client asked for, by a trusted proxy's word or its `Host` header. */
  host(request: IncomingMessage): string | undefined
}

/**
 * Compiles a `trustProxy` option once, for use with every request.
 *
 * @param factory name of the function whose option it is, for the message
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function clientAddresses(factory: string, trustProxy: TrustProxy): ClientAddresses {
  const trust = compileTrust(factory, trustProxy)
  const forwarded = (request: IncomingMessage, header: string): string | undefined => {
    if (!trust(request.socket.remoteAddress ?? '', 0)) return undefined
    const value = request.headers[header]
    return typeof value === 'string' ? value.split(',', 1)[0]?.trim() : undefined
  }
  return {
    clientIp: request => plainIp(proxyAddr(request, trust)),
    secure: request =>
      request.socket instanceof TLSSocket || forwarded(request, 'x-forwarded-proto') === 'https',
    host: request => forwarded(request, 'x-forwarded-host') ?? request.headers.host,
  }
}

function compileTrust(factory: string, value: TrustProxy): (address: string, hop: number) => boolean {
  const wrong = () =>
    invalidOption(factory, 'trustProxy', value, {
      wants: 'true, false, a number of hops, addresses, subnets or a function',
      fix: "trustProxy: ['loopback', '10.0.0.0/8']",
    })
  if (typeof value === 'function') return value
  if (typeof value === 'boolean') return () => value
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < 0) throw wrong()
    return (_address, hop) => hop < value
  }
  try {
    return proxyAddr.compile(typeof value === 'string' ? value.split(',').map(part => part.trim()) : value)
  } catch {
    throw wrong()
  }
}

function plainIp(address: string | undefined): string {
  // proxy-addr passes on the socket's address, which is undefined once the socket is gone.
  return address?.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : (address ?? '')
}
