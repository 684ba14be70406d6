import { randomBytes } from 'node:crypto'
import type { ActorRef } from '../actors/runtime/index.js'
import { SocketStreamError } from '../errors.js'
import { act } from './actions.js'
import { actorPage, actorRow, SAMPLE } from './actor-rows.js'
import { connectionRow, connectionRows } from './connection-rows.js'
import { channelRows, deadLetterRows, logRows, serviceRows, sessionRows } from './lists.js'
import { Memory } from './memory.js'
import { MethodCounts } from './method-counts.js'
import type { InspectorSettings } from './options.js'
import type * as Protocol from './protocol.js'
import { PROTOCOL_VERSION } from './protocol.js'
import { redactor } from './redact.js'
import { Sampler } from './sampler.js'
import { connectionOf, type InspectorSource, MAX_ROWS, pathOf, type Subject } from './source.js'
import { statechart } from './statechart.js'
import { Trace } from './trace.js'

/** Milliseconds that it goes on sampling for a script that has asked over HTTP. */
const LINGER = 10_000
const TRACE_EVERY = 100
/** Milliseconds for which news waits for more of it. */
const NEWS_AFTER = 100
const SNAPSHOT_ROWS = 10_000
const CHILDREN = 100

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
  /** Woken at each sample. */
  readonly #waiting = new Set<() => void>()
  #viewers = 0
  #counting = 0
  #watching = 0
  #timer: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  /** Runs while there is news that viewers do not have yet. */
  #soon: NodeJS.Timeout | undefined
  #errors = 0
  #stopped = false

  constructor(source: InspectorSource, settings: InspectorSettings) {
    const { readOnly, redact, history } = settings
    this.subject = { ...source, readOnly, redact: redactor(redact) }
    this.#memory = new Memory(this.subject)
    this.#sampler = new Sampler(this.subject, history)
  }

  /** Whether anything is attached to the server. */
  get attached(): boolean {
    return this.#timer !== undefined
  }

  /** Ends all that it does. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#linger)
    if (this.#linger !== undefined) this.#release()
    this.#linger = undefined
    for (const wake of [...this.#waiting]) wake()
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
      viewers: this.#viewers,
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
    return this.#detail(ref)
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
    while (page.rows.length > 0 && rows.length < SNAPSHOT_ROWS) {
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

  #detail(ref: ActorRef<never>): Protocol.ActorDetail {
    const path = pathOf(ref)
    const { watchers, subscribers, capacity, mailboxBytes } = ref.facts()
    const connection = connectionOf(this.subject, ref)
    const chart = statechart(ref, this.subject.redact)
    const last = this.#memory.lastChange(path)
    const parent = path === '/' ? undefined : path.slice(0, path.lastIndexOf('/')) || '/'
    const snapshot = chart === undefined ? this.#snapshotOf(ref) : undefined
    const childPaths: string[] = []
    for (const child of ref.children.values()) {
      if (childPaths.push(child.path) === CHILDREN) break
    }
    return {
      ...actorRow(this.subject, this.#memory, ref),
      ...(parent !== undefined && { parent }),
      watchers,
      subscribers,
      childPaths,
      ...(snapshot !== undefined && { snapshot }),
      ...(chart && { statechart: { ...chart, ...(last && { last }) } }),
      ...(connection && { connection: connectionRow(connection) }),
      events: this.#memory.eventsOf(path),
      lifecycle: this.#memory.lifecycleOf(path, 50),
      ...(mailboxBytes !== undefined && { mailboxBytes }),
      // JSON knows no larger number.
      capacity: Math.min(capacity, Number.MAX_SAFE_INTEGER),
    }
  }

  #snapshotOf(ref: ActorRef<never>): Protocol.Json | undefined {
    try {
      const snapshot: unknown = ref.getSnapshot()
      return snapshot === undefined ? undefined : this.subject.redact(snapshot)
    } catch (error) {
      return this.subject.redact(error)
    }
  }

  // ---- who looks ----------------------------------------------------------------------------------

  /** A stream of what happens; see `InspectorApi.watch`. */
  async *watch(
    { services = false }: Protocol.WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<Protocol.WatchItem> {
    const { lifecycle, deadLetters, log } = this.#memory
    this.#viewers++
    this.#hold()
    if (services && this.#counting++ === 0) this.#counts.begin(this.subject.broker.services)
    try {
      let read = { lifecycle: lifecycle.end, deadLetters: deadLetters.end, log: log.end }
      while (!this.#over(signal)) {
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
        await this.#sampled(signal)
      }
    } finally {
      this.#viewers--
      if (services && --this.#counting === 0) this.#counts.end()
      this.#release()
    }
  }

  /** A stream of messages; see `InspectorApi.trace`. */
  async *trace(options: Protocol.TraceOptions, signal: AbortSignal): AsyncGenerator<Protocol.TraceItem> {
    const trace = new Trace(this.subject, options, (ref, turn, event) => this.#memory.heard(ref, turn, event))
    const untap = this.#memory.tapping(trace.refs)
    this.#hold()
    try {
      let item = trace.next()
      yield item
      while (!this.#over(signal) && item.ended !== true) {
        await pause(TRACE_EVERY, signal)
        item = trace.next()
        if (item.events.length > 0 || item.dropped > 0 || item.ended) yield item
      }
    } finally {
      trace.end()
      untap()
      this.#release()
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
        if (events.length > SNAPSHOT_ROWS) dropped += events.splice(0, events.length - SNAPSHOT_ROWS).length
      }
    } finally {
      clearTimeout(timer)
    }
    const details = actors.flatMap(path => {
      const ref = this.subject.broker.system.find(path)
      return path === 'client' || ref === undefined ? [] : [this.#detail(ref)]
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

  /** A script has asked, and may ask again: it gets rates only of what is sampled meanwhile. */
  linger(): void {
    if (this.#stopped) return
    if (this.#linger === undefined) this.#hold()
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => {
      this.#linger = undefined
      this.#release()
    }, LINGER).unref()
  }

  #over(signal: AbortSignal): boolean {
    return this.#stopped || signal.aborted
  }

  #hold(): void {
    if (this.#watching++ > 0) return
    this.#sampler.begin()
    this.#memory.begin(
      () => {
        this.#sampler.errors = ++this.#errors
      },
      () => {
        this.#soon ??= setTimeout(() => this.#wake(), NEWS_AFTER).unref()
      },
    )
    this.#sampler.sample()
    this.#timer = setInterval(() => {
      this.#sampler.sample()
      this.#wake()
    }, SAMPLE).unref()
  }

  #release(): void {
    if (--this.#watching > 0) return
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    this.#timer = undefined
    this.#soon = undefined
    this.#sampler.end()
    this.#memory.end()
  }

  #wake(): void {
    clearTimeout(this.#soon)
    this.#soon = undefined
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves at the next sample, when there is news, or when nobody waits any more. */
  #sampled(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
      if (this.#over(signal)) wake()
    })
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
