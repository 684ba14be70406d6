import type { ServiceClient } from '../service.js'
import { isReserved } from './names.js'
import type { Validated } from './validated.js'

type IsAny<T> = 0 extends 1 & T ? true : false
type Rest<P extends readonly unknown[]> = P extends readonly []
  ? []
  : P extends readonly [_?: unknown, ...rest: infer Args]
    ? Args
    : never

/** What a call gives: an async iterable for a stream, a promise for everything else. */
export type Reply<R> =
  IsAny<Awaited<R>> extends true
    ? Promise<Awaited<R>>
    : [Awaited<R>] extends [never]
      ? Promise<never>
      : [Awaited<R>] extends [AsyncIterable<infer Item>]
        ? AsyncIterable<Item>
        : [Awaited<R>] extends [Iterable<unknown> & Iterator<infer Item, unknown, never>]
          ? AsyncIterable<Awaited<Item>>
          : Promise<Awaited<R>>

/** The client of a table of handlers: the same methods without the context. */
export type RpcClient<H> = {
  readonly [Name in keyof H]: IsAny<H[Name]> extends true
    ? (...args: H[Name][]) => Promise<H[Name]>
    : H[Name] extends Validated<infer Args, infer Result>
      ? (...args: Args) => Reply<Result>
      : H[Name] extends (...args: infer Params) => infer Result
        ? (...args: Rest<Params>) => Reply<Result>
        : RpcClient<H[Name]>
}

/** The client of a service whose methods are not known to the compiler. */
export interface UntypedRpcClient {
  (...args: unknown[]): Promise<unknown>
  readonly [name: string]: UntypedRpcClient
}

/**
 * The client half of RPC: calls look like calls of local functions.
 *
 * Namespaces are made when first used and kept. Reserved names are undefined, so that a client
 * can be awaited, printed and compared. Missing trailing arguments are not sent; `undefined`
 * before others arrives as null.
 *
 * @example await client.api.rpc.nested.deep('x') // sends ['nested.deep', 'x']
 */
export const rpcClient = {
  stateless: true,
  client(service: ServiceClient): UntypedRpcClient {
    return node(service, '')
  },
}

function node(service: ServiceClient, path: string): UntypedRpcClient {
  const children = new Map<string, UntypedRpcClient>()
  const call = (...args: unknown[]): unknown => {
    while (args.length && args.at(-1) === undefined) args.pop()
    return service.call([path, ...args])
  }
  return new Proxy(call, {
    get(_target, name) {
      if (typeof name !== 'string' || isReserved(name)) return undefined
      const child = children.get(name) ?? node(service, path ? `${path}.${name}` : name)
      children.set(name, child)
      return child
    },
  }) as unknown as UntypedRpcClient
}
