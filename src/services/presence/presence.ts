import { randomBytes } from 'node:crypto'
import { SocketStreamError } from '../../errors.js'
import { contextOf } from '../request-context.js'
import type { Connection, Request, ServiceClient, ServiceDefinition, ServiceServer } from '../service.js'
import type { PagePart, PresenceClient, PresencePage, PresenceServer } from './api.js'
import { checkName, deviceOf, invalid, listOf, PAGE, partOf, userOf } from './calls.js'
import { presenceClient } from './client.js'
import { Comings } from './comings.js'
import { arrived, movedOf } from './moves.js'
import { type PresenceOptions, type PresenceSettings, presenceSettings } from './options.js'
import { memberOf, pageOf } from './pages.js'
import { Removals } from './removals.js'
import type { Row } from './roster.js'
import { infoOf } from './stay.js'
import { Stays } from './stays.js'
import type { View } from './view.js'
import { Views } from './views.js'

/** A presence service, whose devices say this of themselves. */
export interface PresenceService<Meta> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): Promise<PresenceServer<Meta>>
  client(client: ServiceClient): PresenceClient<Meta>
}

/** The same file seen from `src/` and from `dist/`. */
const CLIENT_MODULE = {
  url: new URL(import.meta.url.endsWith('.ts') ? './client.ts' : './client.js', import.meta.url),
  export: 'presenceClient',
}

/**
 * A service that knows who is in which channel, over all servers of the engine.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const app = new Server({ transport }).service('presence', presence<{ name: string }>({
 *   canJoin: (ctx, channel) => ctx.session.rooms.includes(channel),
 * }))
 */
export function presence<Meta = unknown>(options: PresenceOptions<Meta> = {}): PresenceService<Meta> {
  const settings = presenceSettings(options as PresenceOptions<never>)
  return {
    type: 'presence',
    use: { json: true, callbacks: true, sessions: true },
    server: server => serve<Meta>(server, settings),
    client: presenceClient.client<Meta>,
    clientModule: CLIENT_MODULE,
  }
}

async function serve<Meta>(server: ServiceServer, settings: PresenceSettings): Promise<PresenceServer<Meta>> {
  const { presence, lease } = server.engine
  if (presence === undefined) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      `The engine '${server.engine.name}' has no presence, which service "${server.name}" needs; give one that has, or leave \`engine\` out`,
    )
  }
  const { clock, ttl, grace, interval, maxListed, maxMeta, canList, canJoin } = settings
  const node = randomBytes(8).toString('base64url')
  const engineName = (channel: string): string => `${server.name}:${channel}`
  /** Timers that keep no process alive. */
  const later = (callback: () => void, ms: number): unknown => {
    const timer = clock.setTimeout(callback, ms)
    ;(timer as { unref?(): void }).unref?.()
    return timer
  }
  const comings = new Comings({ lease, log: server.log, node, engineName, later, grace })
  const views = new Views(
    {
      presence,
      log: server.log,
      interval,
      maxListed,
      send: (ids, message) => void server.sendToSocketIds(ids, message),
      after(ms, callback) {
        const timer = later(callback, ms)
        return () => clock.clearTimeout(timer)
      },
    },
    engineName,
    (...change) => void comings.tell(...change),
  )
  const stays = new Stays({
    presence,
    log: server.log,
    node,
    ttl,
    grace,
    most: server.limits.topics,
    engineName,
    missing: greet,
  })
  const removals = await Removals.begin(server, async (channel, user) => {
    // Clients are told, or they would come again with the next connection.
    for (const id of await stays.remove(channel, user)) server.send(id, [-1, channel])
    await stays.forgetAway(channel, user)
  })
  /** Views by the connections that watch them, by channel. */
  const watched = new Map<string, Map<string, View>>()
  /** By connection: when all that it has asked for is done. */
  const turns = new Map<string, Promise<void>>()

  let renewal = later(renew, ttl / 3)
  const offGap = server.engine.on('gap', () => views.reload())
  const offUp = server.engine.on('up', () => {
    views.reload()
    renewAll()
  })

  function renew(): void {
    renewal = later(renew, ttl / 3)
    renewAll()
  }
  function renewAll(): void {
    stays.renew().catch(error => server.log.warn('who is present cannot be renewed', { error }))
  }

  server.onopen = ({ id }) => greet(id)
  server.ondetach = ({ id }) => stays.detached(id)
  server.onresume = ({ id }) => stays.resumed(id)
  server.onclose = ({ id }) => {
    forget(id)
    stays.lost(id)
  }
  server.onmove = async ({ id }) => {
    const runs = [...(watched.get(id) ?? new Map<string, View>()).values()].map(({ run }) => run)
    await turns.get(id)
    return movedOf(id, stays, runs)
  }
  server.onmoved = ({ id }) => {
    forget(id)
    stays.moved(id)
  }
  server.onarrive = async ({ id }, state) => {
    const channels = arrived(server, id, state, stays)
    // Known before it goes, so that it is seen to go.
    if (comings.listenedTo) await Promise.all(channels.map(channel => comings.hear(id, channel, views)))
  }
  server.onstop = async () => {
    clock.clearTimeout(renewal)
    offGap()
    offUp()
    await stays.close()
    removals.close()
    views.close()
  }
  server.oncall = (request, responder) => {
    const [method, channel, ...args] = listOf(request.message)
    const name = checkName(channel)
    switch (method) {
      case 'join':
        return inTurn(request, () => join(request, name, args[0], deviceOf(args[1]))).then(() =>
          responder.reply(null),
        )
      case 'leave':
        return inTurn(request, () => leave(request.connectionId, name)).then(() => responder.reply(null))
      case 'watch':
        return inTurn(request, async () => {
          await mayList(request, name)
          await watch(request.connection, name, answer => {
            if (responder.ended) return false
            responder.reply(answer)
            return true
          })
        })
      case 'unwatch':
        return inTurn(request, async () => {
          const view = watched.get(request.connectionId)?.get(name)
          if (view !== undefined) unwatch(request.connectionId, name, view)
        }).then(() => responder.reply(null))
      case 'count':
        return mayList(request, name)
          .then(() => count(name))
          .then(count => responder.reply(count))
      case 'page':
        return mayList(request, name)
          .then(() => rowsOf(name, partOf({ after: args[0], limit: args[1] })))
          .then(({ rows, next, version }) => responder.reply([rows, next ?? null, version]))
      default:
        throw new SocketStreamError(
          'UNKNOWN_METHOD',
          "The methods of this service are 'join', 'leave', 'watch', 'unwatch', 'count' and 'page'",
        )
    }
  }

  return {
    count: channel => count(checkName(channel)),
    async list(channel, part = {}): Promise<PresencePage<Meta>> {
      const { rows, next } = await rowsOf(checkName(channel), partOf(part))
      return { members: rows.map(row => memberOf<Meta>(row)), next }
    },
    remove: (channel, user) => removals.remove(checkName(channel), user),
    on(event, listener) {
      const off = comings.on(event, listener)
      if (off === undefined) throw invalid("The events are 'joined' and 'left'")
      return off
    },
  }

  /** Has a client say and ask everything again. */
  function greet(id: string): void {
    server.send(id, [0])
  }

  /** A connection is not here any more. */
  function forget(id: string): void {
    for (const [channel, view] of watched.get(id) ?? []) unwatch(id, channel, view)
    watched.delete(id)
    comings.closed(id, views)
  }

  /** What a connection asks for is done in its order, however long hooks take. */
  function inTurn({ connectionId }: Request, work: () => Promise<void>): Promise<void> {
    const done = (turns.get(connectionId) ?? Promise.resolve()).then(work)
    const next = done.catch(() => undefined)
    turns.set(connectionId, next)
    void next.then(() => turns.get(connectionId) === next && turns.delete(connectionId))
    return done
  }

  // ---- joining ------------------------------------------------------------------------------------

  async function join(
    request: Request,
    channel: string,
    meta: unknown,
    device: string | undefined,
  ): Promise<void> {
    const { connection } = request
    if (infoOf({ away: false, meta }).length - 2 > maxMeta) {
      throw invalid(`What a device says of itself has at most ${maxMeta} bytes`)
    }
    await allowed(canJoin === undefined || canJoin(contextOf(request), channel, meta as never))
    const user = userOf(connection, settings)
    if (!connection.open) return
    try {
      // Before it comes, so that it is seen to come.
      if (comings.listenedTo) await comings.hear(connection.id, channel, views)
      if (!connection.open) return
      await stays.join(connection.id, channel, user, meta, device)
    } finally {
      if (!stays.has(connection.id, channel)) comings.forget(connection.id, channel, views)
    }
    if (!connection.open) stays.lost(connection.id)
  }

  async function leave(connectionId: string, channel: string): Promise<void> {
    await stays.leave(connectionId, channel)
    comings.forget(connectionId, channel, views)
  }

  // ---- looking ------------------------------------------------------------------------------------

  async function mayList(request: Request, channel: string): Promise<void> {
    await allowed(canList === undefined || canList(contextOf(request), channel))
  }

  function count(channel: string): Promise<number> {
    return views.with(channel, view => view.count)
  }

  function rowsOf(
    channel: string,
    { after, limit = PAGE }: PagePart,
  ): Promise<{ rows: Row[]; next: string | undefined; version: number }> {
    return views.with(channel, view => pageOf(view, after, limit))
  }

  async function watch(
    connection: Connection,
    channel: string,
    answer: (answer: unknown[]) => boolean,
  ): Promise<void> {
    const channels = watched.get(connection.id) ?? new Map<string, View>()
    if (!channels.has(channel) && channels.size >= server.limits.topics) {
      throw new SocketStreamError(
        'OVERLOADED',
        `${server.limits.topics} channels are watched; leave some first`,
      )
    }
    await views.with(channel, view => {
      if (!connection.open) return
      const before = view.watchers.has(connection.id)
      view.enter(connection.id)
      watched.set(connection.id, (watched.get(connection.id) ?? new Map()).set(channel, view))
      const { rows, next } = view.listed ? pageOf(view, undefined, PAGE) : { rows: [], next: undefined }
      const { run, version, count, listed } = view
      // Who has given up waiting does not know that it watches.
      if (!answer([run, version, count, listed, rows, next ?? null]) && !before) {
        unwatch(connection.id, channel, view)
      }
    })
  }

  function unwatch(connectionId: string, channel: string, view: View): void {
    const channels = watched.get(connectionId)
    if (channels?.delete(channel) && channels.size === 0) watched.delete(connectionId)
    view.watchers.delete(connectionId)
    view.uses++
    views.release(channel, view)
  }
}

async function allowed(verdict: boolean | Promise<boolean>): Promise<void> {
  if ((await verdict) === true) return
  throw new SocketStreamError('FORBIDDEN', 'The service does not allow this to this client')
}
