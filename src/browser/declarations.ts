import type { ClientPlan } from './plan.js'

/** The types of the package's own client halves, by the type of their services. */
const HALVES: Readonly<Record<string, { readonly type: string; readonly from: string }>> = {
  rpc: { type: 'UntypedRpcClient', from: 'services/rpc' },
  pubsub: { type: 'PubSubClient<Record<string, unknown[]>>', from: 'services/pubsub' },
  livereload: { type: 'LivereloadClient', from: 'services/livereload/client' },
  machine: { type: 'MachineClient', from: 'services/machine/client' },
  model: {
    type: 'ModelClient<Record<string, unknown>, Record<string, unknown>, Record<string, unknown>>',
    from: 'services/model/client',
  },
  presence: { type: 'PresenceClient<unknown>', from: 'services/presence/client' },
}

/**
 * The declarations of a bundle, for pages that are checked by TypeScript.
 *
 * They name the services without the types of their methods; `createClient<typeof app>()` has those.
 */
export function declarations({ services }: ClientPlan): string {
  const lines = services.map(({ name, type }) => {
    const half = Object.hasOwn(HALVES, type) ? HALVES[type] : undefined
    const api = half && `import('socketstream-server/${half.from}').${half.type}`
    return `    readonly ${JSON.stringify(name)}: { client(client: never): ${api ?? 'unknown'} }`
  })
  return `import type { AnyServer, Client, ClientOptions } from 'socketstream-server/client'

export { SocketStreamError, webSocket } from 'socketstream-server/client'
export type {
  AnyServer,
  Client,
  ClientEvents,
  ClientLink,
  ClientLinkHandler,
  ClientOptions,
  ClientStatus,
  ClientTransport,
  ReconnectOptions,
} from 'socketstream-server/client'

/** The services of the server that this was built for. */
export interface ServedApp extends AnyServer {
  readonly '~services': {
${lines.join('\n')}
  }
}

/** Makes a client of the server that the page has this module from, unless \`url\` says another. */
export declare function createClient<App extends AnyServer = ServedApp>(
  options?: Partial<ClientOptions>,
): Client<App>
`
}
