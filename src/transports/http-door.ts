import type { IncomingMessage, ServerResponse } from 'node:http'
import { Admission } from './admission.js'
import { refuse, requestQuery } from './http.js'
import type { HttpLink } from './http-link.js'
import type { HttpOptions } from './http-options.js'
import type { Handshake, TransportHost, Verdict } from './transport.js'

/** What a door needs of a transport's options. */
export type DoorSettings = Pick<HttpOptions, 'origins' | 'trustProxy'> &
  Required<Pick<HttpOptions, 'handshakeTimeout' | 'maxPendingHandshakes'>>

/**
 * Where the clients of a transport over plain HTTP come in: by page, method and verdict.
 *
 * Subprotocols are offered in the query, as in `?protocol=ss1.json`; the one chosen is in the header
 * `SocketStream-Protocol` of the answer.
 */
export class HttpDoor {
  readonly #admission: Admission
  readonly #settings: DoorSettings
  readonly #waiting = new Set<ServerResponse>()
  #host: TransportHost | undefined

  /**
   * @param factory name of the transport's function, for messages; also the name of the transport
   * @throws SocketStreamError `INVALID_OPTION`
   */
  constructor(factory: string, settings: DoorSettings) {
    this.#settings = settings
    this.#admission = new Admission(factory, settings)
  }

  /** Lets clients in, whom this host decides on. */
  open(host: TransportHost): void {
    this.#host = host
  }

  /** Lets no more clients in; those being decided on will be refused. */
  shut(): void {
    this.#host = undefined
  }

  /** Lets no more clients in, and drops those being decided on. */
  drop(): void {
    this.shut()
    for (const response of this.#waiting) response.destroy()
  }

  /**
   * Whether to go on with a request; if not, it has been answered.
   *
   * A page that may connect is told that it may read the answer; one that may not gets a 403. A preflight
   * is answered; a method that is not among these gets a 405.
   */
  async allows(
    request: IncomingMessage,
    response: ServerResponse,
    methods: readonly string[],
  ): Promise<boolean> {
    response.setHeader('Cache-Control', 'no-store')
    try {
      const handshake = this.#admission.handshake(request, [])
      if (!this.#admission.originAllowed(request, handshake)) {
        // It logs which option would let the page in.
        const verdict = await this.#admission.judge(request, handshake, this.#host)
        refuse(response, 403, verdict.accept ? '' : verdict.message)
        return false
      }
    } catch (error) {
      this.#failed(request, response, error)
      return false
    }
    const { method = '', headers } = request
    if (headers.origin !== undefined) {
      response.setHeader('Access-Control-Allow-Origin', headers.origin)
      response.setHeader('Access-Control-Allow-Credentials', 'true')
      response.setHeader('Access-Control-Expose-Headers', 'SocketStream-Protocol')
      response.setHeader('Vary', 'Origin')
    }
    if (methods.includes(method)) return true
    response.setHeader('Allow', methods.join(', '))
    if (method !== 'OPTIONS') {
      refuse(response, 405, `${methods.join(' or ')} only.\n`)
      return false
    }
    response.setHeader('Access-Control-Allow-Methods', methods.join(', '))
    response.setHeader('Access-Control-Allow-Headers', headers['access-control-request-headers'] ?? 'Accept')
    response.setHeader('Access-Control-Max-Age', '600')
    response.writeHead(204).end()
    return false
  }

  /**
   * Has the host decide on the client behind a request, and connects it or refuses.
   *
   * @param link makes the link once the client is accepted, on the response, which has the verdict's headers
   */
  async admit(request: IncomingMessage, response: ServerResponse, link: () => HttpLink): Promise<void> {
    const host = this.#host
    const { handshakeTimeout, maxPendingHandshakes } = this.#settings
    // An unread body would hide that the client leaves.
    request.resume()
    if (!host || this.#waiting.size >= maxPendingHandshakes) {
      host?.refused?.('pending')
      return refuse(response, 503, 'No more clients are accepted now; try again later.\n')
    }
    // Pipelined: it would wait for an answer that may never end, and could do so without bound.
    if (!response.socket) return refuse(response, 400, 'Wait for the answer before you ask again.\n')
    this.#waiting.add(response)
    const deadline = setTimeout(() => {
      this.#waiting.delete(response)
      refuse(response, 408, 'The handshake took too long; try again.\n')
    }, handshakeTimeout)
    try {
      const offered = requestQuery(request).getAll('protocol')
      const protocols = offered.flatMap(list => list.split(',')).filter(name => name !== '')
      const handshake = this.#admission.handshake(request, protocols)
      const verdict = await this.#admission.judge(request, handshake, host)
      // Late, or the client has left meanwhile.
      if (response.headersSent || response.closed || request.socket.destroyed) return
      if (!verdict.accept) refuse(response, verdict.status, verdict.message, verdict.headers)
      else if (this.#host !== host) refuse(response, 503, 'No more clients are accepted; try elsewhere.\n')
      else this.#connect(response, link, host, handshake, verdict)
    } catch (error) {
      this.#failed(request, response, error, host)
    } finally {
      clearTimeout(deadline)
      this.#waiting.delete(response)
    }
  }

  #connect(
    response: ServerResponse,
    makeLink: () => HttpLink,
    host: TransportHost,
    handshake: Handshake,
    verdict: Verdict & { accept: true },
  ): void {
    const { protocol, headers = {} } = verdict
    if (protocol !== undefined) response.setHeader('SocketStream-Protocol', protocol)
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    const link = makeLink()
    link.listen(host.connect(link, handshake, verdict))
  }

  #failed(request: IncomingMessage, response: ServerResponse, error: unknown, host = this.#host): void {
    host?.log('error', 'A client could not be let in', { error, url: request.url })
    if (response.headersSent) response.destroy()
    else refuse(response, 500, 'The server failed; its log says why.\n')
  }
}
