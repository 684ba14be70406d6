import type { AnyServer } from '../client/client.js'
import { Server } from '../server.js'
import type { CallOptions, ServiceClient, ServiceDefinition } from '../services/service.js'
import { type TestClientOptions, type TestKit, testServer } from './test-server.js'
import type { VirtualTimeOptions } from './virtual-time.js'

/** Options of `testService`. */
export interface TestServiceOptions extends VirtualTimeOptions {
  /** Name of the service. Default `service`. */
  readonly name?: string
  /** Third argument of `app.service()`. Default none. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** A connection to a service that keeps what it is sent; see `testService`. */
export interface TestConnection {
  /** The id that the server knows it by. */
  readonly id: string
  /** Messages of the server half, in order. */
  readonly messages: readonly unknown[]
  /** What was published to its topics, in order. */
  readonly publications: readonly { readonly topic: string; readonly value: unknown }[]
  /** Calls with this payload. @throws SocketStreamError as a rejection: what the service refused it with */
  call<Value = unknown>(payload: unknown, options?: CallOptions): Promise<Value>
  /** Calls for a stream; gives its items once it has ended. @throws as `call` */
  items<Item = unknown>(payload: unknown, options?: CallOptions): Promise<Item[]>
  /** Sends a message. */
  send(message: unknown): void
  /** Subscribes to a topic of the service. @throws as `call` */
  subscribe(topic: string): Promise<void>
  unsubscribe(topic: string): void
  close(): void
}

/** A service in a server of its own, under virtual time. */
export interface ServiceKit<Definition> extends Omit<TestKit<AnyServer>, 'app' | 'connect' | 'client'> {
  readonly app: Server
  /** What its server half has returned: `app.api` of it. */
  readonly api: Definition extends { server(server: never): infer Api } ? Awaited<Api> : undefined
  /** Opens a connection. */
  connect(options?: Omit<TestClientOptions, 'services'>): Promise<TestConnection>
}

/**
 * Starts one service by itself, to test its server half: payloads in, replies, messages and topics out.
 *
 * @throws SocketStreamError as `testServer` does
 * @example
 * const kit = await testService({ server: server => void (server.oncall = (request, res) => res.reply(1)) })
 * const connection = await kit.connect()
 * await connection.call('anything') // 1
 * await kit.stop()
 */
export async function testService<Definition extends ServiceDefinition>(
  definition: Definition,
  { name = 'service', options = {}, ...time }: TestServiceOptions = {},
): Promise<ServiceKit<Definition>> {
  const kit = await testServer(
    transport =>
      new Server({ transport, env: 'test' }).service(name, definition as ServiceDefinition, options),
    time,
  )
  const connect = async (given: TestClientOptions = {}): Promise<TestConnection> => {
    const messages: unknown[] = []
    const publications: { topic: string; value: unknown }[] = []
    let half: ServiceClient | undefined
    const recording = {
      client(client: ServiceClient) {
        client.onmessage = message => void messages.push(message)
        half = client
        return client
      },
    }
    const client = kit.client({ ...given, services: { [name]: recording } })
    // As soon as it is connected: the service may send from `onopen`.
    client.on('status', status => {
      if (status === 'connected') half ??= (client.api as unknown as Record<string, ServiceClient>)[name]
    })
    await kit.until(client.connect())
    const service = half!
    return {
      get id() {
        return client.connectionId!
      },
      messages,
      publications,
      call: async <Value>(payload: unknown, options?: CallOptions) =>
        (await service.call(payload, options)) as Value,
      async items<Item>(payload: unknown, options?: CallOptions) {
        const items: Item[] = []
        for await (const item of service.call(payload, options)) items.push(item as Item)
        return items
      },
      send: message => service.send(message),
      subscribe: topic => service.subscribe(topic, value => void publications.push({ topic, value })),
      unsubscribe: topic => service.unsubscribe(topic),
      close: () => client.close(),
    }
  }
  return Object.assign(kit, { api: (kit.app.api as Record<string, unknown>)[name], connect }) as never
}
