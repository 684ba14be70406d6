import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http'
import { Sparingly, Summary } from '../log.js'
import { type ClientAddresses, clientAddresses } from './client-address.js'
import type { HttpOptions } from './http-options.js'
import { cookieCheck, type OriginCheck, originCheck } from './origin.js'
import type { Handshake, TransportHost, Verdict } from './transport.js'

/** Describes clients of an HTTP server to a host, and has them judged: by origin, then by the host. */
export class Admission {
  readonly #factory: string
  readonly #addresses: ClientAddresses
  readonly #originAllowed: OriginCheck
  readonly #cookieAllowed: OriginCheck
  readonly #cookiesLeftOut = new Sparingly()
  readonly #originsRefused = new Summary()

  /**
   * @param factory name of the transport's function, for messages; also the name of the transport
   * @throws SocketStreamError `INVALID_OPTION`
   */
  constructor(factory: string, { trustProxy = false, origins }: Pick<HttpOptions, 'trustProxy' | 'origins'>) {
    this.#factory = factory
    this.#addresses = clientAddresses(factory, trustProxy)
    this.#originAllowed = originCheck(factory, origins)
    this.#cookieAllowed = cookieCheck(factory, origins)
  }

  /** What a request tells of its client. */
  handshake(request: IncomingMessage, protocols: readonly string[]): Handshake {
    const handshake = {
      transport: this.#factory,
      url: request.url ?? '/',
      headers: request.headers,
      clientIp: this.#addresses.clientIp(request),
      secure: this.#addresses.secure(request),
      cookies: true,
      protocols,
    }
    if (this.#cookieAllowed(handshake, this.#addresses.host(request))) return handshake
    const { cookie, ...headers } = request.headers
    return { ...handshake, headers, cookies: false }
  }

  /** Whether the page that a request comes from may connect. */
  originAllowed(request: IncomingMessage, handshake: Handshake): boolean {
    return this.#originAllowed(handshake, this.#addresses.host(request))
  }

  /**
   * Decides on a client, at once where the host does.
   *
   * Throws or rejects when the host fails, or answers with headers that cannot be sent.
   */
  judge(
    request: IncomingMessage,
    handshake: Handshake,
    host: TransportHost | undefined,
  ): Verdict | Promise<Verdict> {
    if (!this.originAllowed(request, handshake)) {
      const { origin } = handshake.headers
      host?.refused?.('origin')
      const { clientIp } = handshake
      this.#originsRefused.add(origin ?? 'none', times =>
        host?.log('warn', this.#originRefused(origin), { times, origin, clientIp }),
      )
      return { accept: false, status: 403, message: 'This origin is not allowed to connect.\n' }
    }
    if (!host) return { accept: false, status: 503, message: 'The server has stopped.\n' }
    if (!handshake.cookies && request.headers.cookie !== undefined)
      this.#tellOfCookie(request, handshake, host)
    const verdict = host.authorize(handshake)
    return verdict instanceof Promise ? verdict.then(checked) : checked(verdict)
  }

  /** The client is let in as somebody unknown: nobody but the operator can tell that this is not meant. */
  #tellOfCookie(request: IncomingMessage, handshake: Handshake, host: TransportHost): void {
    // Left out for another reason, which the transport has.
    if (this.#cookieAllowed(handshake, this.#addresses.host(request))) return
    const times = this.#cookiesLeftOut.take()
    if (times === 0) return
    const { clientIp, secure } = handshake
    const { origin } = handshake.headers
    host.log('warn', 'Cookies were left out: the page is not known to be of this scheme, host and port', {
      times,
      origin,
      host: this.#addresses.host(request),
      secure,
      clientIp,
      hint: 'behind a proxy, set `trustProxy`; pages of other places are to be listed in `origins`',
    })
  }

  #originRefused(origin: string | undefined): string {
    if (origin === undefined)
      return 'Refused a client without an Origin header; the function in `origins` decides'
    return `Refused a page from ${origin}; to allow it: ${this.#factory}({ origins: ['${origin}'] })`
  }
}

/** A verdict whose headers can be sent. @throws TypeError of Node otherwise */
function checked(verdict: Verdict): Verdict {
  for (const name in verdict.headers) {
    validateHeaderName(name)
    validateHeaderValue(name, verdict.headers[name]!)
  }
  return verdict
}
