import { randomBytes } from 'node:crypto'
import { SocketStreamError } from '../errors.js'
import { act } from './actions.js'
import { actorDetail } from './actor-detail.js'
import { actorPage, SAMPLE } from './actor-rows.js'
import { Attention, Places } from './attention.js'
import { connectionRows } from './connection-rows.js'
import { channelRows, deadLetterRows, logRows, serviceRows, sessionRows } from './lists.js'
import { Memory } from './memory.js'
import { MethodCounts } from './method-counts.js'
import type { InspectorSettings } from './options.js'
import type * as Protocol from './protocol/index.js'
import { PROTOCOL_VERSION } from './protocol/index.js'
import { redactor } from './redact.js'
import { Sampler } from './sampler.js'
import { type InspectorSource, MAX_ROWS, type Subject } from './source.js'
import { Trace } from './trace.js'

/** Milliseconds between two items of a trace. */
const TRACE_EVERY = 100
/** Rows, and events, of a file. */
const FILE_ROWS = 10_000
/** Streams at a time, over all viewers: a page has one, or two, and one trace. */
const MOST_VIEWERS = 200
const MOST_TRACES = 50

/**
 * Looks into one server, for any number of viewers.
 *
 * Nothing is attached to the server while nobody looks: the first viewer attaches, the last one detaches.
 */
export class Inspector {
  readonly subject: Subject
  readonly #memory: Memory
  readonly #sampler: Sampler
  readonly #counts = new MethodCounts()
  readonly #incarnation = randomBytes(8).toString('hex')
  readonly #startedAt = Date.now()
  readonly #attention: Attention
  readonly #viewers = new Places(MOST_VIEWERS, 'viewers')
  readonly #traces = new Places(MOST_TRACES, 'traces')
  #counting = 0

  constructor(source: InspectorSource, settings: InspectorSettings) {
    const { readOnly, redact, history } = settings
    this.subject = { ...source, readOnly, redact: redactor(redact) }
    this.#memory = new Memory(this.subject)
    this.#sampler = new Sampler(this.subject, history)
    this.#attention = new Attention(this.#memory, this.#sampler)
  }

  /** Whether anything is attached to the server. */
  get attached(): boolean {
    return this.#attention.attached
  }

  /** Ends all that it does. */
  stop(): void {
    this.#attention.stop()
  }

  // ---- what is asked ------------------------------------------------------------------------------

  hello(): Protocol.Hello {
    const { broker, env, transports, readOnly } = this.subject
    return {
      protocol: PROTOCOL_VERSION,
      incarnation: this.#incarnation,
      startedAt: this.#startedAt,
      now: Date.now(),
      readOnly,
      ...(env !== undefined && { env }),
      node: process.version,
      pid: process.pid,
      transports,
      services: broker.services.flatMap(service => (service === undefined ? [] : [service.name])),
      every: SAMPLE,
      viewers: this.#viewers.taken,
      maxRows: MAX_ROWS,
    }
  }

  overview(): Protocol.Overview {
    return this.#sampler.overview()
  }

  actors(query: Protocol.ActorQuery): Protocol.ActorPage {
    return actorPage(this.subject, this.#memory, query)
  }

  actor(path: string): Protocol.ActorDetail {
    const ref = this.subject.broker.system.find(path)
    if (ref === undefined) throw new SocketStreamError('NOT_FOUND', `there is no actor ${path}`)
    return actorDetail(this.subject, this.#memory, ref)
  }

  services(): readonly Protocol.ServiceRow[] {
    return serviceRows(this.subject, this.#counts)
  }

  channels(query: Protocol.ListQuery): Promise<Protocol.Page<Protocol.ChannelRow>> {
    return channelRows(this.subject, query)
  }

  connections(query: Protocol.ListQuery): Protocol.Page<Protocol.ConnectionRow> {
    return connectionRows(this.subject, query)
  }

  sessions(query: Protocol.ListQuery): Protocol.Page<Protocol.SessionRow> {
    return sessionRows(this.subject, query)
  }

  deadLetters(query: Protocol.ListQuery): ReturnType<Protocol.InspectorApi['deadLetters']> {
    return deadLetterRows(this.subject, this.#memory.deadLetters.all(), query)
  }

  log(query: Protocol.LogQuery): Protocol.Page<Protocol.LogRow> {
    return logRows(this.#memory.log.all(), query)
  }

  async snapshot(): Promise<Protocol.SnapshotFile> {
    const all = { limit: MAX_ROWS }
    const rows: Protocol.ActorRow[] = []
    let page = this.actors({ ...all, deep: true })
    while (page.rows.length > 0 && rows.length < FILE_ROWS) {
      rows.push(...page.rows)
      page = this.actors({ ...all, deep: true, offset: rows.length })
    }
    return {
      kind: 'socketstream-snapshot',
      protocol: PROTOCOL_VERSION,
      takenAt: Date.now(),
      hello: this.hello(),
      overview: this.overview(),
      actors: { ...page, rows, offset: 0 },
      services: this.services(),
      channels: await this.channels(all),
      connections: this.connections(all),
      sessions: this.sessions(all),
      deadLetters: this.deadLetters(all),
      log: this.log(all),
    }
  }

  act(action: Protocol.Action): Protocol.ActionResult {
    return act(this.subject, action)
  }

  // ---- who looks ----------------------------------------------------------------------------------

  /** A stream of what happens; see `InspectorApi.watch`. */
  async *watch(
    { services = false }: Protocol.WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<Protocol.WatchItem> {
    const { lifecycle, deadLetters, log } = this.#memory
    this.#viewers.take()
    this.#attention.hold()
    if (services && this.#counting++ === 0) this.#counts.begin(this.subject.broker.services)
    try {
      let read = { lifecycle: lifecycle.end, deadLetters: deadLetters.end, log: log.end }
      while (!this.#attention.over(signal)) {
        const [happened, dead, lines] = [
          lifecycle.since(read.lifecycle, 200),
          deadLetters.since(read.deadLetters, 100),
          log.since(read.log, 200),
        ]
        read = { lifecycle: lifecycle.end, deadLetters: deadLetters.end, log: log.end }
        yield {
          point: this.#sampler.points.last!,
          totals: this.#sampler.totals,
          lifecycle: happened.items,
          deadLetters: dead.items,
          log: lines.items,
          dropped: { lifecycle: happened.dropped, deadLetters: dead.dropped, log: lines.dropped },
        }
        await this.#attention.sampled(signal)
      }
    } finally {
      this.#viewers.leave()
      if (services && --this.#counting === 0) this.#counts.end()
      this.#attention.release()
    }
  }

  /** A stream of messages; see `InspectorApi.trace`. */
  async *trace(options: Protocol.TraceOptions, signal: AbortSignal): AsyncGenerator<Protocol.TraceItem> {
    this.#traces.take()
    let trace: Trace
    try {
      trace = new Trace(this.subject, options, (ref, turn, event) => this.#memory.heard(ref, turn, event))
    } catch (error) {
      this.#traces.leave()
      throw error
    }
    const untap = this.#memory.tapping(trace.refs)
    this.#attention.hold()
    try {
      let item = trace.next()
      yield item
      while (!this.#attention.over(signal) && item.ended !== true) {
        await pause(TRACE_EVERY, signal)
        item = trace.next()
        if (item.events.length > 0 || item.dropped > 0 || item.ended) yield item
      }
    } finally {
      trace.end()
      untap()
      this.#traces.leave()
      this.#attention.release()
    }
  }

  /** A trace of some time, as a file. */
  async record(options: Protocol.TraceOptions, ms: number, signal: AbortSignal): Promise<Protocol.TraceFile> {
    const recordedAt = Date.now()
    const end = new AbortController()
    const both = AbortSignal.any([signal, end.signal])
    const timer = setTimeout(() => end.abort(), ms)
    const events: Protocol.TraceEvent[] = []
    let dropped = 0
    let actors: readonly string[] = []
    try {
      for await (const item of this.trace(options, both)) {
        events.push(...item.events)
        dropped += item.dropped
        actors = item.actors
        // A file has its bound too: the oldest go.
        if (events.length > FILE_ROWS) dropped += events.splice(0, events.length - FILE_ROWS).length
      }
    } finally {
      clearTimeout(timer)
    }
    const details = actors.flatMap(path => {
      const ref = this.subject.broker.system.find(path)
      return path === 'client' || ref === undefined ? [] : [actorDetail(this.subject, this.#memory, ref)]
    })
    const kind = 'socketstream-trace'
    return {
      kind,
      protocol: PROTOCOL_VERSION,
      recordedAt,
      hello: this.hello(),
      options,
      actors,
      events,
      dropped,
      details,
    }
  }

  /** A script has asked, and may ask again. */
  linger(): void {
    this.#attention.linger()
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}
