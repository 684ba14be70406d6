import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasCode } from '../errors.js'
import { batchSize } from './frame-batch.js'
import { readBody, refuse, requestQuery } from './http.js'
import type { HttpLink } from './http-link.js'
import { type BatchLimits, type BatchReply, HttpOrder, NO_LINK, TOO_LARGE } from './http-order.js'
import { NamedLinks } from './named-links.js'
import type { TransportHost, TransportPeers } from './transport.js'

/** Bytes of bodies that are on their way to other servers at once. */
const MOST_RELAYED = 64 * 1024 * 1024
/** Milliseconds that the way to another server and back may take. */
const WAY = 1000

/**
 * Links that requests name, on whichever server of a cluster they are: no balancer has to keep a client with its server.
 *
 * The name of a link begins with the id of its server, and a request that comes to another one is handed on. It has to say
 * how many frames came before it (`from`): nobody knows what became of a request whose answer was lost, so it is repeated.
 */
export class RelayedLinks extends NamedLinks<HttpLink> {
  readonly #address: string
  readonly #limits: BatchLimits
  readonly #orders = new Map<HttpLink, HttpOrder>()
  #peers: TransportPeers | undefined
  #end: (() => void) | undefined
  #relayed = 0

  /** @param address what the transport has in common with those on other servers, such as its name and path */
  constructor(address: string, limits: BatchLimits) {
    super()
    this.#address = address
    this.#limits = limits
  }

  /** Takes what other servers hand on, until `terminate`. */
  open({ peers }: TransportHost): void {
    this.#peers = peers
    this.#end = peers?.answer(this.#address, question => this.#handedOn(question))
  }

  override name(link: HttpLink): string {
    const id = super.name(link)
    this.#orders.set(link, new HttpOrder(link, this.#limits))
    return this.#peers === undefined ? id : `${this.#peers.id}.${id}`
  }

  override find(name: string | null): HttpLink | undefined {
    const [node, id] = parts(name ?? '')
    return node === undefined || node === this.#peers?.id ? super.find(id) : undefined
  }

  override delete(link: HttpLink): void {
    super.delete(link)
    this.#orders.get(link)?.closed()
    this.#orders.delete(link)
  }

  override async terminate(): Promise<void> {
    await super.terminate()
    this.#end?.()
    this.#end = undefined
  }

  /**
   * Takes a request with a batch of frames for the link in its query, and answers it; see docs/transports.md.
   *
   * One without `from` that breaks off ends its link: what it held is lost, and the order with it.
   */
  async receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const query = requestQuery(request)
    const name = query.get('link')
    const from = numberOf(query.get('from'))
    const link = this.find(name)
    const [node, id] = parts(name ?? '')
    let reply: BatchReply | undefined = NO_LINK
    if (from !== undefined && !Number.isSafeInteger(from)) reply = BAD_NUMBER
    else if (link?.open) reply = await this.#receive(link, request, from)
    else if (this.#peers !== undefined && node !== undefined && from !== undefined) {
      reply = await this.#relay(this.#peers, node, id, from, request)
    }
    if (reply === undefined) return
    if (reply.status === 204) response.writeHead(204).end()
    else refuse(response, reply.status, reply.text, reply.status === 503 ? { 'Retry-After': '1' } : {})
  }

  /** Undefined when nobody is there to be answered. */
  async #receive(
    link: HttpLink,
    request: IncomingMessage,
    from: number | undefined,
  ): Promise<BatchReply | undefined> {
    const order = this.#orders.get(link)!
    let isGone = false
    const reply = await order.request(from, async () => {
      const body = await this.#body(request)
      isGone = request.socket.destroyed
      if (isGone && from === undefined) link.terminate()
      if (isGone) return NO_LINK
      return body === undefined ? order.tooLarge() : order.take(body, from)
    })
    return isGone ? undefined : reply
  }

  async #relay(
    peers: TransportPeers,
    node: string,
    id: string,
    from: number,
    request: IncomingMessage,
  ): Promise<BatchReply | undefined> {
    const { maxPayload, handshakeTimeout } = this.#limits
    // What is sent in chunks may become as large as is allowed.
    const size = Number(request.headers['content-length'] ?? batchSize(maxPayload))
    if (size > batchSize(maxPayload)) return TOO_LARGE
    if (this.#relayed > 0 && this.#relayed + size > MOST_RELAYED) return unsure('OVERLOADED')
    this.#relayed += size
    try {
      const body = await this.#body(request)
      if (request.socket.destroyed) return undefined
      if (body === undefined) return TOO_LARGE
      const answer = await peers.ask(node, this.#address, [id, from, body], handshakeTimeout + WAY)
      return answer === null ? NO_LINK : (answer as BatchReply)
    } catch (error) {
      const code = hasCode(error) ? error.code : 'INTERNAL'
      if (code === 'FRAME_TOO_BIG') return TOO_LARGE
      if (code === 'NO_RESPONDER')
        return { status: 410, text: 'NO_RESPONDER: the server of the link has gone.\n' }
      return unsure(code)
    } finally {
      this.#relayed -= size
    }
  }

  /** A request has come to another server; undefined when its link is not here. */
  #handedOn(question: unknown): Promise<BatchReply> | undefined {
    const [id, from, body] = Array.isArray(question) ? question : []
    if (typeof id !== 'string' || !Number.isSafeInteger(from) || !(body instanceof Uint8Array))
      return undefined
    const link = super.find(id)
    if (!link?.open) return undefined
    const order = this.#orders.get(link)!
    if (body.length > batchSize(this.#limits.maxPayload)) return Promise.resolve(order.tooLarge())
    return order.request(from, () => order.take(body, from))
  }

  #body(request: IncomingMessage): Promise<Buffer | undefined> {
    const { maxPayload, handshakeTimeout } = this.#limits
    return readBody(request, batchSize(maxPayload), handshakeTimeout)
  }
}

const BAD_NUMBER: BatchReply = { status: 400, text: 'Give how many frames came before as `from`.\n' }

/** The answer when nobody knows whether the owner of the link has the frames. */
function unsure(code: string): BatchReply {
  return { status: 503, text: `${code}: the frames may not have arrived; send the same again.\n` }
}

/** A link's server, if its name has one, and the rest. */
function parts(name: string): [node: string | undefined, id: string] {
  const dot = name.indexOf('.')
  return dot < 0 ? [undefined, name] : [name.slice(0, dot), name.slice(dot + 1)]
}

/** NaN for what is no number of frames. */
function numberOf(given: string | null): number | undefined {
  if (given === null) return undefined
  return /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN
}
