import { randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { Server as NetServer } from 'node:net'
import session from 'express-session'
import { BrokerAudience } from './actors/audience.js'
import { Broker } from './actors/broker.js'
import { BrokerClusterHost } from './actors/cluster-host.js'
import { Connections, type PublicService } from './actors/connections.js'
import { Drain, STOPPING } from './actors/drain.js'
import { freshSession } from './actors/fresh-session.js'
import { answerUnheard } from './actors/live-session.js'
import { Moving } from './actors/moving.js'
import { routerBehaviour } from './actors/router.js'
import { type ActorRef, ActorSystem } from './actors/runtime/index.js'
import { type ServiceEntry, serviceBehaviour } from './actors/service.js'
import { BrokerServiceServer } from './actors/service-server.js'
import { sessionCacheBehaviour, UNBOUNDED } from './actors/session-cache.js'
import { SessionControl } from './actors/session-control.js'
import { type Statistics, statisticsOf } from './actors/statistics.js'
import { browserAssets, type ServedAsset } from './browser/assets.js'
import { buildClient, type ClientBundle } from './browser/build-client.js'
import { type ClientHandler, type ClientHandlerOptions, clientHandler } from './browser/client-handler.js'
import type { ClientBuildOptions } from './browser/plan.js'
import { Cluster } from './cluster/cluster.js'
import { Handover } from './cluster/handover.js'
import { clusterSettings } from './cluster/options.js'
import { json } from './codec/json.js'
import { msgpack } from './codec/msgpack.js'
import { text } from './codec/text.js'
import { milliseconds } from './duration.js'
import { EngineWatch } from './engine-watch.js'
import type { Engine } from './engines/engine.js'
import { memory as memoryEngine } from './engines/memory.js'
import { CLOSE_CODES, SocketStreamError } from './errors.js'
import { eventLoopLag } from './event-loop-lag.js'
import { type HealthHandler, type HealthOptions, healthHandler } from './health.js'
import { LogHub } from './inspector/log-hub.js'
import type { MountedInspector } from './inspector/mount.js'
import { type InspectorOptions, type InspectorSettings, inspectorSettings } from './inspector/options.js'
import { createLogger, type Logger, type LogTarget } from './log.js'
import type { Middleware, MiddlewareFactory } from './middleware/middleware.js'
import {
  type CheckedOptions,
  checkLog,
  checkOptions,
  type ServerOptions,
  type StopOptions,
} from './options.js'
import { isServiceName } from './protocol/names.js'
import type { Audience, Connection, ServerApi, ServiceDefinition } from './services/service.js'
import { SessionIdentity } from './sessions/identity.js'
import { SessionRepository } from './sessions/repository.js'
import { SharedStore } from './sessions/shared-store.js'
import { handleSignals } from './signals.js'
import { type ClassicMessage, ClassicTransport } from './transports/classic.js'
import type { HttpRoute, TransportAddress } from './transports/transport.js'
import { workersSecret } from './workers/secret.js'

/** The services of a server that has none yet. */
type None = Record<never, never>

interface Registration {
  readonly name: string
  readonly definition: ServiceDefinition
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * A realtime server: one connection per client, any number of services.
 *
 * @example
 * const app = new Server({ transport: ws({ port: 3001 }) })
 *   .service('rpc', rpc({ add: (ctx, a: number, b: number) => a + b }))
 * await app.start()
 */
export class Server<Services = None> {
  /** Type only, never set: the table of services, for `createClient<typeof app>()`. */
  declare readonly '~services': Services
  readonly events: EventEmitter
  /** Sessions: the store for express-session, those in use, how to end them. */
  readonly sessions: SessionControl
  #options: CheckedOptions
  #log: Logger
  readonly #repository: SessionRepository
  readonly #identity: SessionIdentity
  readonly #registered: Registration[] = []
  readonly #middleware: Middleware[] = []
  readonly #api: Record<string, unknown> = Object.create(null)
  #status: 'new' | 'starting' | 'started' | 'stopping' | 'stopped' = 'new'
  #attached: HttpServer | undefined
  #broker: Broker | undefined
  #engine: Engine | undefined
  #engineWatch: EngineWatch | undefined
  #starting: Promise<ServerApi<Services>> | undefined
  #stopped: Promise<void> | undefined
  #offSignals: (() => void) | undefined
  /** Whether the secret of the sessions was made up here: no other server has it. */
  #hasOwnSecret = false
  #inspecting: { readonly settings: InspectorSettings; readonly logs: LogHub } | undefined
  #inspector: MountedInspector | undefined

  /** @throws SocketStreamError `INVALID_OPTION`, naming the option and its fix */
  constructor(options: ServerOptions) {
    this.#options = checkOptions(options, () => {
      const shared = workersSecret()
      this.#hasOwnSecret = shared === undefined
      return shared ?? randomBytes(32).toString('base64url')
    })
    this.events = this.#options.events
    this.#log = createLogger(this.#options.log, 'socketstream')
    const { sessions, sessionStore, env } = this.#options
    if (sessionStore === undefined && env === 'production') {
      this.#log.warn('sessions are kept in memory, which leaks and ends with the process; set `sessionStore`')
    }
    const store = sessionStore ?? new session.MemoryStore()
    this.#repository = new SessionRepository(store, sessions)
    this.#identity = new SessionIdentity(sessions)
    this.sessions = new SessionControl({
      store: new SharedStore(store),
      repository: this.#repository,
      identity: this.#identity,
      userOf: sessions.userOf,
    })
  }

  /** The server-side API of each service, filled by `start()`. */
  get api(): ServerApi<Services> {
    return this.#api as ServerApi<Services>
  }

  /** Logs with the server's name. */
  get log(): Logger {
    return this.#log
  }

  /**
   * Adds a service.
   *
   * @param name unique; 1–12 characters, `[a-z][a-z0-9_-]*`
   * @returns the server, typed with the service
   * @throws SocketStreamError `INVALID_OPTION` for the name or definition, `INVALID_STATE` once started
   */
  service<const Name extends string, Definition extends ServiceDefinition>(
    name: Name,
    definition: Definition,
    options: Readonly<Record<string, unknown>> = {},
  ): Server<Services & { readonly [N in Name]: Definition }> {
    this.#mustBeNew('service()')
    if (!isServiceName(name)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `service name ${JSON.stringify(name)} must have 1 to 12 characters a-z, 0-9, _ or -, begin with a letter and not be reserved`,
      )
    }
    if (this.#registered.some(registered => registered.name === name)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `there is a service "${name}" already; choose another name`,
      )
    }
    const given: unknown = definition
    if (given === null || typeof given !== 'object') {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `service "${name}" needs a definition, such as rpc({ … })`,
      )
    }
    for (const half of ['server', 'client'] as const) {
      // Services of 0.4 say null for what they lack.
      if ((definition[half] ?? undefined) !== undefined && typeof definition[half] !== 'function') {
        throw new SocketStreamError('INVALID_OPTION', `\`${half}\` of service "${name}" must be a function`)
      }
    }
    checkLog(options?.log)
    this.#registered.push({ name, definition, options: options ?? {} })
    return this as unknown as Server<Services & { readonly [N in Name]: Definition }>
  }

  /**
   * Adds a middleware; they run in the order of `use`.
   *
   * A function of one parameter is a factory: it is called with the server and returns the middleware.
   *
   * @throws SocketStreamError `INVALID_OPTION` or `INVALID_STATE`
   */
  use(middleware: Middleware | MiddlewareFactory): this {
    this.#mustBeNew('use()')
    if (typeof middleware !== 'function') {
      throw new SocketStreamError(
        'INVALID_OPTION',
        'use() takes a function (req, res, next) or a factory (server)',
      )
    }
    const made =
      middleware.length === 1 ? (middleware as MiddlewareFactory)(this) : (middleware as Middleware)
    if (typeof made !== 'function') {
      throw new SocketStreamError(
        'INVALID_OPTION',
        'a middleware factory must return a function (req, res, next)',
      )
    }
    this.#middleware.push(made)
    return this
  }

  /**
   * Puts the transports that were given neither `port` nor `server` on this HTTP server.
   *
   * Its other paths stay with its other listeners, such as an Express app. The server stays yours: to
   * listen with, before or after `start()`, and to close after `stop()`.
   *
   * @throws SocketStreamError `INVALID_OPTION` for what is no server, `INVALID_STATE` once started
   * @example
   * const server = http.createServer(express())
   * await app.attach(server).start()
   * server.listen(3000)
   */
  attach(server: HttpServer): this {
    this.#mustBeNew('attach()')
    if (!(server instanceof NetServer)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        'attach() takes the HTTP server itself, not an Express app; give http.createServer(app)',
      )
    }
    this.#attached = server
    return this
  }

  /**
   * Mounts the inspector at `/_inspector` of the transports' HTTP servers: a page that shows what the server does.
   *
   * Without `auth` it answers on this machine only. Call it first: what has a logger of the server already is not
   * heard by it. See docs/inspector.md.
   *
   * @throws SocketStreamError `INVALID_OPTION`, also without `auth` in production; `INVALID_STATE` once started
   * @example app.inspector({ auth: process.env.INSPECTOR_TOKEN, readOnly: true })
   */
  inspector(options: InspectorOptions = {}): this {
    this.#mustBeNew('inspector()')
    const settings = inspectorSettings(options, this.#options.env)
    const logs = this.#inspecting?.logs ?? new LogHub(this.#options.log)
    this.#inspecting = { settings, logs }
    this.#options = { ...this.#options, log: logs.target }
    this.#log = createLogger(logs.target, 'socketstream')
    return this
  }

  /**
   * Starts services in the order of registration, then transports.
   *
   * If anything fails, everything is stopped again and the cause is thrown.
   *
   * @returns the server-side API, as in `app.api`
   */
  start(): Promise<ServerApi<Services>> {
    try {
      this.#mustBeNew('start()')
    } catch (error) {
      return Promise.reject(error)
    }
    this.#status = 'starting'
    this.#starting = this.#start()
    return this.#starting
  }

  async #start(): Promise<ServerApi<Services>> {
    const broker = this.#createBroker()
    this.#broker = broker
    try {
      for (const entry of broker.services) {
        const api = await entry?.definition.server?.(entry.server)
        if (entry !== undefined && api) this.#api[entry.name] = api
      }
      if (this.#classic !== undefined) this.#classic.app = this
      await broker.cluster?.start()
      await this.#mountInspector(broker)
      for (const transport of this.#options.transports) await transport.start(broker.connections)
    } catch (error) {
      await this.#release(broker)
      throw error
    }
    this.#status = 'started'
    const { handleSignals: signals } = this.#options
    if (signals !== false) {
      const exit = signals.exit === false ? undefined : (code: number) => process.exit(code)
      this.#offSignals = handleSignals(() => this.stop({ drain: '30s', ...signals }), this.#log, exit)
    }
    return this.api
  }

  /**
   * Stops: accepts nothing new, lets calls in flight finish, closes every connection.
   *
   * Clients are told to come back elsewhere or later. Idempotent.
   *
   * @throws SocketStreamError `INVALID_OPTION`
   * @example await app.stop({ drain: '30s', delay: '5s' })
   */
  stop({ drain = 10_000, delay = 0 }: StopOptions = {}): Promise<void> {
    const times = { drain: milliseconds(drain, 'drain'), delay: milliseconds(delay, 'delay') }
    this.#stopped ??= this.#stop(times)
    return this.#stopped
  }

  /**
   * Answers `/livez` and `/readyz`: for `node:http`, Connect and Express.
   *
   * The option `health` has the transports' HTTP servers do it.
   *
   * @throws SocketStreamError `INVALID_OPTION`
   */
  healthHandler(options: HealthOptions = {}): HealthHandler {
    return healthHandler(
      {
        status: () => this.#status,
        engine: () => this.#engine,
        engineDown: () => this.#engineWatch?.isDown ?? false,
        lag: eventLoopLag(),
        memoryFull: () => this.#broker?.connections.memory.full ?? false,
      },
      options,
    )
  }

  /**
   * Where clients connect; undefined before `start()`, and until the server of `attach()` listens.
   *
   * @param transport name of one of several, such as `sockjs`. Default the first
   */
  address(transport?: string): TransportAddress | undefined {
    const { transports } = this.#options
    const found = transport === undefined ? transports[0] : transports.find(({ name }) => name === transport)
    return found?.address()
  }

  /**
   * Takes a message of a socket, as transport modules of SocketStream 0.4 hand it over.
   *
   * What is no message of a socket is logged and left out.
   *
   * @throws SocketStreamError `INVALID_STATE` when `transport` is no such module
   */
  process(request: ClassicMessage): void {
    if (this.#classic === undefined) {
      throw new SocketStreamError(
        'INVALID_STATE',
        'process() is for transport modules of SocketStream 0.4; give one as `transport`',
      )
    }
    this.#classic.process(request)
  }

  get #classic(): ClassicTransport | undefined {
    return this.#options.transports.find(transport => transport instanceof ClassicTransport)
  }

  /**
   * The connections in rooms, or of ids, for what concerns no service; see `Audience`.
   *
   * @throws SocketStreamError `INVALID_STATE` before `start()`, `INVALID_ARGUMENTS` for a name that is none
   * @example
   * app.to('room:1').except(connection.id).disconnect('the room is closed')
   */
  to(names: string | readonly string[]): Audience {
    return this.#everybody('to()').to(names)
  }

  /** Everybody on this node but these. @throws as `to` does */
  except(names: string | readonly string[]): Audience {
    return this.#everybody('except()').except(names)
  }

  /** The open connections of this node. @throws SocketStreamError `INVALID_STATE` before `start()` */
  connections(): readonly Connection[] {
    return this.#everybody('connections()').connections()
  }

  #everybody(what: string): Audience {
    if (this.#broker === undefined)
      throw new SocketStreamError('INVALID_STATE', `${what} needs start() first`)
    return new BrokerAudience(this.#broker)
  }

  /** What has been counted since `start()`. @throws SocketStreamError `INVALID_STATE` before it */
  statistics(): Statistics {
    if (this.#broker === undefined)
      throw new SocketStreamError('INVALID_STATE', 'statistics() needs start() first')
    return statisticsOf(this.#broker)
  }

  /** The services that clients can use, as in a welcome. */
  publicServices(): readonly PublicService[] {
    if (this.#broker === undefined)
      throw new SocketStreamError('INVALID_STATE', 'publicServices() needs start() first')
    return this.#broker.connections.publicServices()
  }

  /** The files that browsers need: the client and what public services add. */
  browserAssets(): readonly ServedAsset[] {
    return browserAssets(this.#registered, this.#classic?.module.browserAssets)
  }

  /**
   * Makes the client for browsers: one module with the transports, the codec and the services.
   *
   * @throws SocketStreamError `INVALID_OPTION`, `SERVICE_HALF_MISSING`, `PACKAGE_MISSING`, `BUILD_FAILED`
   */
  buildClient(options: ClientBuildOptions = {}): Promise<ClientBundle> {
    return buildClient(this.#browserSource(), options)
  }

  /**
   * Serves that client at `/socketstream/client.js`: for `node:http`, Connect and Express.
   *
   * @throws SocketStreamError `INVALID_OPTION` for `sourceMap`; other options are checked by the build
   */
  clientHandler(options: ClientHandlerOptions = {}): ClientHandler {
    return clientHandler(this.#browserSource(), options)
  }

  #browserSource() {
    const { root, transports, env } = this.#options
    const exposeErrors = env === 'development' || env === 'test'
    return { root, transports, services: this.#registered, exposeErrors, log: this.#log }
  }

  /**
   * The servers that share the engine: who they are, what is on them, calls between them; see docs/scaling.md.
   *
   * @throws SocketStreamError `INVALID_STATE` before `start()`
   */
  get cluster(): Cluster {
    if (this.#broker?.cluster === undefined)
      throw new SocketStreamError('INVALID_STATE', 'cluster is there once start() has been called')
    return this.#broker.cluster
  }

  /** The actors of this server: find, watch and count them. @throws SocketStreamError `INVALID_STATE` */
  get actors(): ActorSystem {
    if (this.#broker === undefined)
      throw new SocketStreamError('INVALID_STATE', 'actors are there once start() has been called')
    return this.#broker.system
  }

  /**
   * Starts an actor below `/app`: a behaviour, or an XState machine; see docs/actors.md.
   *
   * @throws SocketStreamError `INVALID_STATE` before `start()` and after `stop()`
   */
  get spawn(): ActorRef<never>['spawn'] {
    const app = this.actors.find('/app')
    if (app === undefined) throw new SocketStreamError('INVALID_STATE', 'spawn() must come before stop()')
    return app.spawn.bind(app) as ActorRef<never>['spawn']
  }

  // ---- composition ------------------------------------------------------------------------------

  #createBroker(): Broker {
    const { limits, env, textWire, cacheSessions, sessions: settings, authenticate, log } = this.#options
    this.#engine = this.#options.engine ?? memoryEngine()
    this.#engineWatch = new EngineWatch(this.#engine, this.#log)
    const { kv } = this.#engine
    const system = new ActorSystem({
      ...(kv !== undefined && { store: kv }),
      crashed: ({ path, error, messageType }) =>
        this.#log.error(`actor ${path} failed`, { error, messageType }),
    })
    system.deadLetters.subscribe(({ to, type, reason, from }, message) => {
      this.#log.debug(`dead letter to ${to}: ${reason}`, { type, from })
      if (to === '/sessions' || to.startsWith('/sessions/')) answerUnheard(message)
    })
    const usesSessions = this.#registered.some(({ definition }) => definition.use?.sessions === true)
    const { recheck, saveUninitialized } = settings
    const cache = sessionCacheBehaviour({
      repository: this.#repository,
      caching: cacheSessions,
      recheck,
      saveUninitialized,
      log: this.#log,
      userOf: settings.userOf,
      codes: () => this.sessions.codes,
      ended: (id, how) => this.#broker?.cluster?.ended(id, how),
    })
    const sessions = system.root.spawn('sessions', cache, UNBOUNDED)
    const chain = cacheSessions ? this.#middleware : [freshSession, ...this.#middleware]
    const broker = new Broker({
      system,
      log: this.#log,
      events: this.events,
      exposeErrors: env === 'development' || env === 'test',
      limits: { ...limits, maxFrame: Math.min(limits.maxFrame, ...this.#transportBounds()) },
      codecs: [msgpack(), json()],
      textCodec: textWire ? text() : undefined,
      sessions,
      liveSessions: cache.state.live,
      sessionUsers: cache.state.users,
      usesSessions,
      host: this,
    })
    broker.cluster = this.#createCluster(broker)
    this.sessions.attach(broker, cache.state)
    const supervisor = system.root.spawn<never, undefined>('connections', { receive() {} })
    broker.connections = new Connections(broker, supervisor, {
      identity: this.#identity,
      repository: this.#repository,
      rolling: settings.rolling,
      cached: id => cache.state.memory.peek(id),
      authenticate,
      resume: this.#options.resume,
      memory: this.#options.memory,
      log: createLogger(log, 'transport'),
    })
    broker.connections.server = this.#attached
    broker.connections.peers = broker.cluster.forwards
    const { resume } = this.#options
    const { claims } = broker.cluster
    if (claims !== undefined && kv !== undefined && resume?.handover) {
      broker.connections.moving = new Moving(broker, new Handover(kv), claims, resume)
    }
    broker.connections.routes = this.#routes()
    broker.router = system.root.spawn('router', routerBehaviour(broker, chain), { capacity: 1_000_000 })
    const parent = system.root.spawn<never, undefined>('services', { receive() {} })
    system.root.spawn<never, undefined>('app', { receive() {} })
    this.#registered.forEach((registration, index) => {
      const entry = this.#createService(broker, parent, index + 1, registration)
      broker.services.push(entry)
      const { json = false, callbacks = false } = registration.definition.use ?? {}
      broker.shapes.set(entry.id, { id: entry.id, json, callbacks })
    })
    return broker
  }

  #createCluster(broker: Broker): Cluster {
    const { cluster, engine, log } = this.#options
    const settings = cluster ?? clusterSettings(undefined)!
    const isAlone = engine === undefined || cluster === undefined
    const host = new BrokerClusterHost(broker)
    const made = new Cluster(this.#engine!, isAlone, settings, host, createLogger(log, 'cluster'))
    if (!this.#hasOwnSecret) return made
    const end = made.on('joined', () => {
      end()
      this.#log.warn(
        'servers of a cluster need the same `sessions.secret`; without it clients lose their session and their connection when they come to another one',
      )
    })
    return made
  }

  /** What is served on the HTTP servers of the transports, besides the transports. */
  #routes(): readonly HttpRoute[] {
    const { client, health } = this.#options
    const routes: HttpRoute[] = []
    if (client !== false) routes.push(this.clientHandler(client))
    if (health !== false) routes.push(this.healthHandler(health))
    return routes
  }

  async #mountInspector(broker: Broker): Promise<void> {
    if (this.#inspecting === undefined) return
    const { settings, logs } = this.#inspecting
    const { env, transports } = this.#options
    const names = transports.map(({ name }) => name)
    // Loaded where there is one: it brings a server of its own.
    const { mountInspector } = await import('./inspector/mount.js')
    const source = { broker, api: this.#api, env, transports: names, logs }
    this.#inspector = await mountInspector(source, settings, this.#log)
    broker.connections.routes = [...broker.connections.routes, this.#inspector.route]
  }

  /** The largest frame of each transport: the welcome must not promise more. */
  #transportBounds(): number[] {
    return this.#options.transports.map(({ capabilities }) => capabilities.maxFrame)
  }

  #createService(
    broker: Broker,
    parent: Broker['system']['root'],
    id: number,
    { name, definition, options }: Registration,
  ): ServiceEntry {
    const { root, env } = this.#options
    const log = (options.log as LogTarget | undefined) ?? this.#options.log
    const server = new BrokerServiceServer({
      broker,
      id,
      name,
      options,
      root,
      env,
      api: this.#api,
      log,
      engine: this.#engine!,
    })
    const ref = parent.spawn(name, serviceBehaviour({ broker, server }), { capacity: 1_000_000 })
    server.ref = ref
    return { id, name, private: definition.private === true, definition, server, ref }
  }

  // ---- the end ----------------------------------------------------------------------------------

  async #stop({ drain, delay }: { drain: number; delay: number }): Promise<void> {
    // A start under way is let finish: what it opens could not be closed otherwise.
    await this.#starting?.catch(() => {})
    const broker = this.#broker
    if (broker === undefined || this.#status !== 'started') {
      this.#status = 'stopped'
      return
    }
    this.#status = 'stopping'
    if (delay > 0) await new Promise(resolve => setTimeout(resolve, delay))
    broker.draining = true
    const { moving, resumables, byId } = broker.connections
    resumables.drain(moving !== undefined)
    for (const transport of this.#options.transports) transport.stopAccepting()
    const last = Date.now() + drain
    const leaving = new Drain(broker, drain)
    const draining = [leaving.run(), broker.connections.idle(), ...this.#hooks(broker, 'ondrain')]
    await withDeadline(Promise.all(draining), drain)
    leaving.end()
    await moving?.leaving.leaveAll(byId, last - Date.now())
    await this.#release(broker)
  }

  async #release(broker: Broker): Promise<void> {
    this.#offSignals?.()
    await this.#inspector?.stop()
    broker.connections.closeAll(CLOSE_CODES.SERVER_STOPPING, STOPPING)
    await broker.cluster?.stop()
    await Promise.all(this.#hooks(broker, 'onstop'))
    await Promise.all(
      this.#options.transports.map(transport =>
        transport.stop().catch(error => this.#log.error('a transport did not stop', { error })),
      ),
    )
    this.sessions.detach()
    broker.system.stop()
    await broker.system.saved()
    this.#engineWatch?.close()
    // Whoever made an engine closes it.
    if (this.#options.engine === undefined) await this.#engine?.close()
    this.#status = 'stopped'
  }

  #hooks(broker: Broker, hook: 'ondrain' | 'onstop'): Promise<unknown>[] {
    return broker.services.map(async entry => {
      try {
        await entry?.server[hook]?.()
      } catch (error) {
        this.#log.error(`${hook} of service ${entry?.name} failed`, { error })
      }
    })
  }

  #mustBeNew(what: string): void {
    if (this.#status === 'new') return
    throw new SocketStreamError(
      'INVALID_STATE',
      `${what} must come before start(); this server is ${this.#status}`,
    )
  }
}

function withDeadline(work: Promise<unknown>, ms: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    const end = (): void => {
      clearTimeout(timer)
      resolve()
    }
    work.then(end, end)
  })
}
