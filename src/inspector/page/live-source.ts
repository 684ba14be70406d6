import { createClient } from '../../client/index.js'
import type { Hello, InspectorServer, Overview, WatchItem } from '../protocol/index.js'
import { type Api, Changes, type Source, type SourceStatus } from './source.js'

/** Samples that are kept for the charts: five minutes. */
const POINTS = 300

/**
 * A server, through a SocketStream client of its own.
 *
 * It watches as long as it is there, comes back by itself, and forgets what it has when the server is another one.
 */
export class LiveSource implements Source {
  status: SourceStatus = 'connecting'
  hello: Hello | undefined
  overview: Overview | undefined
  item: WatchItem | undefined
  epoch = 0
  readonly #base: string
  readonly #client
  readonly #changes = new Changes()
  #closed = false

  /** @param base address of the page, with a slash at its end */
  constructor(base: string) {
    this.#base = base
    const url = new URL('socket', base)
    url.protocol = url.protocol.replace('http', 'ws')
    this.#client = createClient<InspectorServer>({
      url: url.href,
      reconnect: { minDelay: 250, maxDelay: 5000 },
      timeout: 15_000,
    })
    this.#client.on('status', status => {
      if (this.#closed) return
      if (status === 'connected') void this.#begin()
      else if (status === 'waiting' || status === 'closed') void this.#lost()
    })
    this.#client.connect().catch(() => {})
  }

  get api(): Api {
    return this.#client.api.inspector
  }

  subscribe(listener: () => void): () => void {
    return this.#changes.subscribe(listener)
  }

  close(): void {
    this.#closed = true
    this.#client.close()
  }

  async #begin(): Promise<void> {
    const epoch = ++this.epoch
    let items = 0
    const current = (): boolean => epoch === this.epoch && !this.#closed
    try {
      const stream = this.api.watch({})
      const hello = await this.api.hello()
      if (!current()) return
      // Another server knows nothing of what the one before it has counted.
      if (hello.incarnation !== this.hello?.incarnation) this.overview = undefined
      this.hello = hello
      this.status = 'connected'
      const overview = await this.api.overview()
      if (!current()) return
      this.overview = overview
      this.#changes.tell()
      for await (const item of stream) {
        if (!current()) return
        this.#take(item)
        // How much of the depth is sampled comes with the overview alone.
        if (++items % 10 === 0) this.overview = await this.api.overview()
      }
    } catch {
      // The link has gone, which the client says itself; it comes back.
    }
  }

  #take(item: WatchItem): void {
    this.item = item
    const { points, depthOf } = this.overview!
    const isNew = points.at(-1)?.at !== item.point.at
    const kept = isNew ? [...points, item.point].slice(-POINTS) : points
    this.overview = { points: kept, totals: item.totals, depthOf }
    this.#changes.tell()
  }

  async #lost(): Promise<void> {
    this.epoch++
    if (this.status !== 'denied') this.status = this.hello === undefined ? 'connecting' : 'lost'
    this.#changes.tell()
    // A browser does not say why an upgrade was refused; the same door answers plainly over HTTP.
    try {
      const { status } = await fetch(new URL('api/hello', this.#base), { credentials: 'same-origin' })
      const denied = status === 401 || status === 403
      if ((this.status as SourceStatus) === 'connected' || this.#closed) return
      this.status = denied ? 'denied' : this.hello === undefined ? 'connecting' : 'lost'
      this.#changes.tell()
    } catch {
      // It is away altogether.
    }
  }
}
