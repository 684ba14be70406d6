import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { parse } from 'cookie'
import { originCheck } from '../transports/origin.js'
import type { Handshake } from '../transports/transport.js'
import type { InspectorSettings } from './options.js'

/** Whether a request may have what it asks for; else what it is answered. */
export type Decision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly status: 401 | 403; readonly code: string; readonly message: string }

/** Hours for which a login counts. */
const HOURS = 12
/** Milliseconds that the application's function may take. */
const AUTH_TIMEOUT = 10_000
const COOKIE = 'socketstream_inspector'
const ALLOWED: Decision = { allowed: true }
/** Headers that a proxy adds: behind one the peer is not the client. */
const FORWARDED = /^(forwarded|x-forwarded-.*|x-real-ip|via)$/

const isFromOwnPage = originCheck('inspector', undefined)

/** Decides who may use the inspector: by a token, by the application's function, or on this machine only. */
export class Access {
  readonly #settings: InspectorSettings
  readonly #failed: (error: unknown) => void

  /** @param failed is told what the application's function throws */
  constructor(settings: InspectorSettings, failed: (error: unknown) => void) {
    this.#settings = settings
    this.#failed = failed
  }

  /** Whether there is a token to log in with. */
  get hasLogin(): boolean {
    return typeof this.#settings.auth === 'string'
  }

  /** Decides on a request; on one that changes something, or an upgrade, its page is looked at as well. */
  async decide(request: IncomingMessage, changes: boolean): Promise<Decision> {
    const { auth } = this.#settings
    if (changes && !isOwnPage(request)) return refused('it comes from a page of another origin')
    if (auth === undefined) return local(request)
    const allowed = typeof auth === 'string' ? this.#hasToken(request, auth) : await this.#asks(auth, request)
    if (allowed) return ALLOWED
    const message = this.hasLogin ? 'log in, or send Authorization: Bearer <token>' : 'not allowed here'
    return { allowed: false, status: 401, code: 'UNAUTHORIZED', message }
  }

  /** The cookie for whoever knows the token; undefined for others. */
  login(request: IncomingMessage, token: string): string | undefined {
    const { auth } = this.#settings
    if (typeof auth !== 'string' || !isSame(token, auth)) return undefined
    const until = Date.now() + HOURS * 3_600_000
    return this.#cookie(request, `${until}.${sign(auth, until)}`, HOURS * 3600)
  }

  /** The cookie that ends a login. */
  logout(request: IncomingMessage): string {
    return this.#cookie(request, '', 0)
  }

  #cookie(request: IncomingMessage, value: string, age: number): string {
    const secure = request.socket instanceof TLSSocket || request.headers['x-forwarded-proto'] === 'https'
    const { path } = this.#settings
    return `${COOKIE}=${value}; Path=${path}; Max-Age=${age}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`
  }

  #hasToken({ headers }: IncomingMessage, auth: string): boolean {
    const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
    if (bearer !== undefined) return isSame(bearer.trim(), auth)
    const [until, signature] = (parse(headers.cookie ?? '')[COOKIE] ?? '').split('.', 2)
    if (!until || !signature || !(Number(until) > Date.now())) return false
    return isSame(signature, sign(auth, Number(until)))
  }

  async #asks(
    auth: (request: IncomingMessage) => boolean | Promise<boolean>,
    request: IncomingMessage,
  ): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>(resolve => {
      timer = setTimeout(resolve, AUTH_TIMEOUT, false)
    })
    try {
      return (await Promise.race([auth(request), late])) === true
    } catch (error) {
      this.#failed(error)
      return false
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Whoever asks from this machine, by a name of it, and not through a proxy. */
function local({ socket, headers }: IncomingMessage): Decision {
  const proxied = Object.keys(headers).find(name => FORWARDED.test(name))
  if (proxied !== undefined) return refused(`it came through a proxy (header ${proxied})`)
  if (!isLoopback(socket.remoteAddress)) return refused('it comes from another machine')
  // A page elsewhere can have its own name resolve to this machine, but not send another name (DNS rebinding).
  if (!isLocalHost(headers.host)) return refused('its Host is no name of this machine')
  return ALLOWED
}

function refused(why: string): Decision {
  const message = `the inspector does not answer this: ${why}; give app.inspector({ auth }) for more than this machine`
  return { allowed: false, status: 403, code: 'FORBIDDEN', message }
}

/** Whether an address is of this machine. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address))
}

/** Whether a `Host` header names this machine to itself. */
export function isLocalHost(host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(`http://${host}`)) return false
  const { hostname } = new URL(`http://${host}`)
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  )
}

/** Whether a request is of a page of ours, or of no page at all. */
function isOwnPage({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  // Said by the browser itself, whatever it leaves out of `Origin` for the sake of a referrer policy.
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  return isFromOwnPage({ headers } as Handshake, headers.host)
}

function sign(token: string, until: number): string {
  return createHmac('sha256', token).update(`inspector.${until}`).digest('base64url')
}

/** In a time that says nothing of where they differ. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map(text => createHash('sha256').update(text).digest())
  return timingSafeEqual(a!, b!)
}
