import { resolve } from 'node:path'
import { runOnce } from '../idempotency.js'
import type { Request, Responder, ServiceClient, ServiceDefinition, ServiceServer } from '../service.js'
import { runAction } from './action.js'
import { answer, fail } from './answer.js'
import { authorized, compileRules, type RpcCheck, type RpcRules } from './authorize.js'
import { classicCall, isClassicPayload, rpcTextClient } from './classic.js'
import { type RpcClient, rpcClient, type UntypedRpcClient } from './client.js'
import { CallContext } from './context.js'
import { loadActions } from './files.js'
import { type Handlers, type Method, resolveHandlers } from './handlers.js'
import { type CallPayload, checkPayload, unknownMethod } from './payload.js'
import { refuseUpload, withUpload } from './upload.js'

/** An RPC service of a table of handlers, from which its client is inferred. */
export interface RpcService<H> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): undefined
  client(client: ServiceClient): RpcClient<H>
}

/** An RPC service of a folder of actions. */
export interface RpcFileService<Client> extends ServiceDefinition {
  readonly private?: false
  server(server: ServiceServer): undefined
  client(client: ServiceClient): Client
}

/** Where the actions of the file form are. */
export interface RpcFileOptions {
  /** A folder, from the server's `root`. Default `services/<name>`, or the `root` of `app.service()`'s options. */
  readonly dir: string
  /** Who may call what, as with `RpcOptions`; names are not checked, as the files are loaded later. */
  readonly authorize?: RpcRules
}

/** Options of the table form. */
export interface RpcOptions {
  /** Who may call what: a rule for all methods, or rules by method. Default everybody everything. */
  readonly authorize?: RpcRules
}

type Serve = (payload: CallPayload, request: Request, responder: Responder) => void

/**
 * A service whose methods clients call like local functions.
 *
 * Handlers get a context, then the caller's arguments; plain objects in the table are namespaces.
 * Names follow `isReserved`; see `Handler` for what may be returned.
 *
 * @throws SocketStreamError `INVALID_OPTION` for a table that has anything but functions and plain
 *   objects of them, or reserved names, or names with a dot; for rules of methods that are not there
 * @example
 * app.service('rpc', rpc({
 *   add: (ctx, a: number, b: number) => a + b,
 *   async *count(ctx, to: number) { for (let i = 0; i < to; i++) yield i },
 * }))
 */
export function rpc<H extends Handlers>(handlers: H, options?: RpcOptions): RpcService<H>
/**
 * A service whose methods are in files: `demo.js` has `demo.square`.
 *
 * Folders are namespaces. A file exports `actions(req, res, ss)`, called for every request, which
 * returns the methods; they answer through `res`. Loaded at start, which throws `INVALID_OPTION`
 * naming the file that is at fault. The type argument is the client's view.
 *
 * @example
 * // services/rpc/demo.js
 * exports.actions = (req, res, ss) => ({ square: n => res(n * n) })
 * // server.js
 * app.service('rpc', rpc())
 */
export function rpc<Client = UntypedRpcClient>(options?: RpcFileOptions): RpcFileService<Client>
export function rpc(table?: Handlers | RpcFileOptions, options: RpcOptions = {}): RpcFileService<unknown> {
  const [serve, check] = isFileForm(table) ? fileForm(table) : tableForm(table, options)
  return {
    type: 'rpc',
    use: { json: true, callbacks: true, sessions: true },
    server(server) {
      const run = serve(server)
      server.oncall = (request, responder) => {
        let answer: Responder = responder
        const failed = (error: unknown): void => fail(error, answer, server.log)
        try {
          let payload = request.message
          if (isClassicPayload(payload)) ({ payload, answer } = classicCall(payload, responder, server))
          const checked = checkPayload(payload)
          const goOn = (): void => {
            if (request.idempotencyKey === undefined)
              return run(withUpload(checked, request), request, answer)
            refuseUpload(request)
            const [method, ...args] = checked
            const call = { server, request, responder: answer, method, args }
            runOnce(call, keyed => run(checked, request, keyed)).catch(failed)
          }
          if (check === undefined) return goOn()
          authorized(check, request, checked, () => responder.ended || goOn())?.catch(failed)
        } catch (error) {
          failed(error)
        }
      }
      return undefined
    },
    client: rpcClient.client,
    textClient: rpcTextClient,
  }
}

function isFileForm(table: Handlers | RpcFileOptions | undefined): table is RpcFileOptions | undefined {
  return table === undefined || typeof table?.dir === 'string'
}

type Form = readonly [serve: (server: ServiceServer) => Serve, check: RpcCheck | undefined]

function tableForm(table: Handlers, { authorize }: RpcOptions): Form {
  const methods = resolveHandlers(table)
  return [serveHandlers(methods), authorize === undefined ? undefined : compileRules(authorize, methods)]
}

function fileForm({ dir, authorize }: Partial<RpcFileOptions> = {}): Form {
  return [serveFiles(dir), authorize === undefined ? undefined : compileRules(authorize, undefined)]
}

function serveHandlers(methods: ReadonlyMap<string, Method>): (server: ServiceServer) => Serve {
  return server => (payload, request, responder) => {
    const [name, ...args] = payload
    const method = methods.get(name)
    if (method === undefined) throw unknownMethod(name)
    const ctx = new CallContext(name, request, responder, server)
    try {
      answer(method.handler.call(method.owner, ctx, ...args), responder, server.log, ctx)
    } catch (error) {
      fail(error, responder, server.log, ctx)
    }
  }
}

function serveFiles(dir: string | undefined): (server: ServiceServer) => Serve {
  return server => {
    const files = loadActions(dir === undefined ? server.service.assigned.root : resolve(server.root, dir))
    return (payload, request, responder) => {
      const [method, ...args] = payload
      const dot = method.lastIndexOf('.')
      const actions = files.get(method.slice(0, Math.max(dot, 0)))
      if (actions === undefined) throw unknownMethod(method)
      runAction(actions, { method, name: method.slice(dot + 1), args }, request, responder, server)
    }
  }
}
