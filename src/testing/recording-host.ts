import type { Handshake, Link, LinkHandler, TransportHost, Verdict } from '../transports/transport.js'
import { LinkRecorder } from './link-recorder.js'

/** A link that a recording host was given, with its recorder. */
export interface RecordedLink {
  readonly link: Link
  readonly handshake: Handshake
  readonly verdict: Verdict & { accept: true }
  readonly recorder: LinkRecorder
}

/** A transport host for tests: accepts every client, unless told otherwise, and records. */
export class RecordingHost implements TransportHost {
  /** What happened, in order: `authorize` and `connect`. */
  readonly calls: ('authorize' | 'connect')[] = []
  readonly handshakes: Handshake[] = []
  readonly links: RecordedLink[] = []
  readonly logs: { level: string; message: string }[] = []
  /** Decides on a client. Default: accepted, with the first protocol it offered. */
  decide: (handshake: Handshake) => Verdict | Promise<Verdict> = ({ protocols }) => ({
    accept: true,
    protocol: protocols[0],
  })
  /** Called with each link when it is taken over. */
  onconnect: (connected: RecordedLink) => void = () => undefined
  readonly #waiting: ((connected: RecordedLink) => void)[] = []
  #next = 0

  authorize(handshake: Handshake): Verdict | Promise<Verdict> {
    this.calls.push('authorize')
    this.handshakes.push(handshake)
    return this.decide(handshake)
  }

  connect(link: Link, handshake: Handshake, verdict: Verdict & { accept: true }): LinkHandler {
    this.calls.push('connect')
    const connected = { link, handshake, verdict, recorder: new LinkRecorder() }
    this.links.push(connected)
    this.onconnect(connected)
    const waiter = this.#waiting.shift()
    if (waiter) {
      this.#next++
      waiter(connected)
    }
    return connected.recorder
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    this.logs.push({ level, message })
  }

  /** The next link, in the order they were taken over. */
  nextLink(): Promise<RecordedLink> {
    const connected = this.links[this.#next]
    if (!connected) return new Promise(resolve => this.#waiting.push(resolve))
    this.#next++
    return Promise.resolve(connected)
  }
}
