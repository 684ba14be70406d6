import type { AnyActorLogic } from '../../actors/runtime/index.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import { contextOf } from '../request-context.js'
import type { ServiceClient, ServiceDefinition, ServiceServer } from '../service.js'
import type { Actors } from './actors.js'
import { Arrivals } from './arrivals.js'
import { type MachineClient, type MachineEvent, machineClient } from './client.js'
import { ClusterActors } from './cluster-actors.js'
import { LocalActors } from './local-actors.js'
import {
  type CheckedMachineOptions,
  checkMachine,
  type DefaultView,
  type ListedEvent,
  type MachineContext,
  type MachineOptions,
} from './options.js'

/** A service of keyed actors that take these events and are seen like this. */
export interface MachineService<Event, View> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): void
  client(client: ServiceClient): MachineClient<Event, View>
}

/** The same file seen from `src/` and from `dist/`. */
const CLIENT_MODULE = {
  url: new URL(import.meta.url.endsWith('.ts') ? './client.ts' : './client.js', import.meta.url),
  export: 'machineClient',
}

/**
 * A service that runs XState logic as keyed, long-lived actors, which clients view and send events.
 *
 * The actor of a key is started when it is first asked for. Clients see what `project` makes of its
 * snapshots, and send only the listed events; `authorize` is asked about both.
 *
 * @throws SocketStreamError `INVALID_OPTION` for logic that is none, and for options that do not fit
 * @example
 * const app = new Server({ transport }).service('order', machine(orderMachine, {
 *   events: ['place', 'pay'],
 *   authorize: (ctx, key) => ctx.session.user === key.split(':')[0],
 * }))
 */
export function machine<Logic extends AnyActorLogic, const Type extends string, View = DefaultView<Logic>>(
  logic: Logic,
  options: MachineOptions<Logic, Type, View>,
): MachineService<ListedEvent<Logic, Type>, View> {
  const checked = checkMachine(logic, options)
  return {
    type: 'machine',
    use: { json: true, callbacks: true, sessions: true },
    server: server => serve(server, logic, checked),
    client: machineClient.client<ListedEvent<Logic, Type>, View>,
    clientModule: CLIENT_MODULE,
  }
}

function serve(server: ServiceServer, logic: AnyActorLogic, options: CheckedMachineOptions): void {
  const actors: Actors =
    server.cluster === undefined
      ? new LocalActors(server, logic, options)
      : new ClusterActors(server, server.cluster, logic, options)
  /** Keys by the connections that view them, or have asked to. */
  const viewed = new Map<string, Set<string>>()
  const arrivals = new Arrivals(server, actors, options, viewed)

  const allowed = async (ctx: MachineContext, key: string, what: unknown): Promise<boolean> =>
    (await options.authorize(ctx, key, what)) === true
  const allow = async (ctx: MachineContext, key: string, what: unknown): Promise<void> => {
    if (!(await allowed(ctx, key, what))) throw forbidden('The service does not allow this to this client')
  }

  server.onsubscribe = async (request, topic) => {
    const key = checkKey(topic, options)
    const { connection, connectionId } = request
    const keys = viewed.get(connectionId) ?? new Set()
    if (!keys.has(key) && keys.size >= options.keys) {
      throw new SocketStreamError(
        'OVERLOADED',
        `A connection may view ${options.keys} keys; leave some first`,
      )
    }
    viewed.set(connectionId, keys.add(key))
    try {
      const ctx = contextOf(request)
      await allow(ctx, key, 'read')
      await actors.view(key, ctx, connection)
    } finally {
      if (!actors.has(key, connectionId)) forget(connectionId, key)
    }
  }
  server.onunsubscribe = ({ id }, key) => {
    forget(id, key)
    actors.leave(key, id)
  }
  server.onclose = ({ id }) => leave(id)
  server.onmove = ({ id }) => [...(viewed.get(id) ?? [])].filter(key => actors.has(key, id))
  server.onmoved = ({ id }) => leave(id)
  server.onarrive = (connection, state) => arrivals.take(connection, state)
  server.ondrain = () => actors.drain?.()
  server.onstop = () => {
    arrivals.stop()
    return actors.stop?.()
  }
  server.oncall = async (request, responder) => {
    const { method, key, event } = checkCall(request.message, options)
    const ctx = contextOf(request)
    if (method === 'get') {
      await allow(ctx, key, 'read')
      return actors.look(key, ctx, look => responder.reply(look))
    }
    const listed = options.events.has(event.type)
    if (method === 'can') {
      if (!listed || !(await isAllowed(allowed(ctx, key, event)))) return responder.reply(false)
      return responder.reply(await actors.can(key, ctx, event))
    }
    if (!listed) throw forbidden(`Clients may not send "${event.type.slice(0, 100)}"`)
    await allow(ctx, key, event)
    await actors.send(key, ctx, event)
    responder.reply(null)
  }

  function leave(connectionId: string): void {
    for (const key of viewed.get(connectionId) ?? []) actors.leave(key, connectionId)
    viewed.delete(connectionId)
  }

  function forget(connectionId: string, key: string): void {
    const keys = viewed.get(connectionId)
    keys?.delete(key)
    if (keys?.size === 0) viewed.delete(connectionId)
  }
}

/** Whether a verdict is in favour; a refusal with a code of its own is none. */
function isAllowed(verdict: Promise<boolean>): Promise<boolean> {
  return verdict.catch(error => {
    if (hasCode(error)) return false
    throw error
  })
}

/** Checks `[method, key, event]`. */
function checkCall(
  message: unknown,
  options: CheckedMachineOptions,
): { method: 'get' | 'can' | 'send'; key: string; event: MachineEvent } {
  if (!Array.isArray(message)) {
    throw new SocketStreamError('INVALID_ARGUMENTS', "A call is an array: ['send', key, event]")
  }
  const [method, key, event] = message as unknown[]
  if (method !== 'get' && method !== 'can' && method !== 'send') {
    throw new SocketStreamError('UNKNOWN_METHOD', "The methods of this service are 'get', 'can' and 'send'")
  }
  return { method, key: checkKey(key, options), event: method === 'get' ? NO_EVENT : checkEvent(event) }
}

const NO_EVENT: MachineEvent = { type: '' }

function checkKey(key: unknown, options: CheckedMachineOptions): string {
  if (typeof key === 'string' && options.isKey(key)) return key
  throw new SocketStreamError('INVALID_ARGUMENTS', 'This service has no such key')
}

function checkEvent(event: unknown): MachineEvent {
  if (typeof event === 'object' && event !== null && !Array.isArray(event)) {
    const prototype: unknown = Object.getPrototypeOf(event)
    const plain = prototype === Object.prototype || prototype === null
    if (plain && Object.hasOwn(event, 'type') && typeof (event as MachineEvent).type === 'string') {
      return event as MachineEvent
    }
  }
  throw new SocketStreamError(
    'INVALID_ARGUMENTS',
    "An event is an object with a type, such as { type: 'pay' }",
  )
}

function forbidden(message: string): SocketStreamError {
  return new SocketStreamError('FORBIDDEN', message)
}
