import type { StandardSchemaV1 } from '@standard-schema/spec'
import { contextOf } from '../request-context.js'
import type { Request, Responder, ServiceClient, ServiceDefinition, ServiceServer } from '../service.js'
import { Arrivals } from './arrivals.js'
import { readCall, readEdit } from './calls.js'
import { type ModelClient, modelClient } from './client.js'
import { Keeper } from './keeper.js'
import { type CheckedModelOptions, checkModel, type ModelContext, type ModelOptions } from './options.js'
import type { Plain } from './plain.js'
import type { Stored } from './storage.js'
import { maySee } from './viewer.js'
import { Watches } from './watches.js'
import { checkId, Writer } from './writer.js'

/** What a record is made from: its id may be left to the server. */
export type NewRecord<In, Key extends string> = Omit<In, Key> & { readonly [K in Key]?: string }

/** The server-side API of a model: asks no `authorize`. */
export interface ModelServer<R, New = R> {
  /** The record of an id with its version; undefined when there is none. */
  get(id: string): Promise<Stored<R> | undefined>
  /** Adds a record. @throws SocketStreamError `ALREADY_EXISTS`, `INVALID_ARGUMENTS` */
  create(record: New): Promise<Stored<R>>
  /** Changes properties; takes away those given as undefined. @throws SocketStreamError `NOT_FOUND`, `STALE_VERSION` */
  update(id: string, changes: Partial<R>, options?: { readonly version?: number }): Promise<Stored<R>>
  /** Removes a record. @throws SocketStreamError `NOT_FOUND`, `STALE_VERSION` */
  remove(id: string, options?: { readonly version?: number }): Promise<void>
  /**
   * Says that a record was changed past the model, or that others may see it now.
   *
   * Resolves when it has been read again, and sent to those who watch. Rejects when the storage fails: it is
   * tried again then.
   */
  changed(id: string): Promise<void>
}

/** A service of records of one kind. */
export interface ModelService<R, New = R, Params = Record<string, never>> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): Promise<ModelServer<R, New>>
  client(client: ServiceClient): ModelClient<R, New, Params>
}

/** The same file seen from `src/` and from `dist/`. */
const CLIENT_MODULE = {
  url: new URL(import.meta.url.endsWith('.ts') ? './client.ts' : './client.js', import.meta.url),
  export: 'modelClient',
}

/**
 * A service of records in a storage, which clients read, watch and write.
 *
 * Writes are in the storage before they are acknowledged. Whoever watches a record, or a query, is sent each
 * change that it may see. Records are objects of JSON.
 *
 * @throws SocketStreamError `INVALID_OPTION` for options that do not fit
 * @example
 * const app = new Server({ transport }).service('todos', model({
 *   ...memoryStorage(),
 *   schema: z.object({ id: z.string(), text: z.string(), done: z.boolean() }),
 *   authorize: (ctx, action, todo) => ctx.user !== undefined,
 *   queries: { open: { filter: todo => !todo.done } },
 * }))
 */
export function model<
  S extends StandardSchemaV1<unknown, object>,
  const Key extends string = 'id',
  Params = Record<never, never>,
>(
  options: { readonly schema: S } & ModelOptions<StandardSchemaV1.InferOutput<S>, Params, Key>,
): ModelService<StandardSchemaV1.InferOutput<S>, NewRecord<StandardSchemaV1.InferInput<S>, Key>, Params>
export function model<R extends object, const Key extends string = 'id', Params = Record<never, never>>(
  options: { readonly schema?: undefined } & ModelOptions<R, Params, Key>,
): ModelService<R, NewRecord<R, Key>, Params>
export function model(options: unknown): ModelService<object, object, object> {
  const checked = checkModel(options)
  return {
    type: 'model',
    use: { json: true, callbacks: true, sessions: true },
    server: server => serve(server, checked),
    client: modelClient.client<object, object, object>,
    clientModule: CLIENT_MODULE,
  }
}

async function serve(server: ServiceServer, options: CheckedModelOptions): Promise<ModelServer<object>> {
  const keeper = new Keeper(server, options)
  const watches = new Watches(keeper)
  const writer = new Writer(keeper)

  // Whoever has watched on a connection before asks for it again.
  server.onopen = ({ id }) => void server.send(id, [0])
  server.onclose = connection => watches.close(connection)
  const arrivals = new Arrivals(server, watches)
  server.onmove = connection => arrivals.stateOf(connection)
  server.onmoved = connection => watches.close(connection)
  server.onarrive = (connection, state) => arrivals.take(connection, state)
  server.onstop = () => keeper.stop()
  server.oncall = async (request, responder) => {
    responder.reply(await answer(request, responder))
  }
  await keeper.listen()
  const api: ModelServer<Plain> = {
    async get(id) {
      return keeper.load(checkId(id))
    },
    create: async record => writer.create(undefined, record),
    async update(id, changes, { version } = {}) {
      const names = Object.keys(changes).filter(name => changes[name] === undefined)
      return writer.update(undefined, checkId(id), version, readEdit(changes, names))
    },
    remove: async (id, { version } = {}) => writer.remove(undefined, checkId(id), version),
    async changed(id) {
      // The others have to hear of it also when this server cannot read it yet.
      keeper.announce(checkId(id))
      await keeper.refresh(id)
    },
  }
  return api as ModelServer<object>

  async function answer(request: Request, responder: Responder): Promise<unknown> {
    const { connection } = request
    const call = readCall(request.message)
    switch (call.method) {
      case 'watch':
        await arrivals.over(connection)
        await watches.watch(connection, call)
        return null
      case 'unwatch':
        watches.unwatch(connection, call.watch)
        return null
      case 'get':
        await watches.get(connection, call.id)
        return null
      case 'leave':
        watches.leave(connection, call.id)
        return null
      case 'fetch':
        watches.fetch(connection, call.id)
        return null
      case 'remove':
        await writer.remove(contextOf(request), call.id, call.version)
        return null
    }
    const ctx = contextOf(request)
    const written =
      call.method === 'create'
        ? await writer.create(ctx, call.record)
        : await writer.update(ctx, call.id, call.version, call.edit)
    return responder.ended ? null : shown(ctx, written)
  }

  /** What was written, as far as the client may see it. */
  function shown(ctx: ModelContext, { record, version }: Stored<Plain>): unknown {
    return [version, maySee(options.authorize, ctx, record, server.log) ? record : null]
  }
}
