import type { ClientLink, ClientTransport } from '../client/transport.js'
import type { MemoryClientLink, MemoryConnectOptions, MemoryTransport } from '../transports/memory.js'

/**
 * The client's end of the memory transport, for `createClient({ transport })`.
 *
 * @param options what each link says of itself: address, headers, path
 * @example
 * const transport = memory()
 * const client = createClient({ url: 'memory:', transport: memoryClient(transport) })
 */
export function memoryClient(
  transport: Pick<MemoryTransport, 'connect'>,
  options: Omit<MemoryConnectOptions, 'protocols'> = {},
): ClientTransport {
  return {
    open(_url, protocols, handler): ClientLink & { terminate(): void } {
      let link: MemoryClientLink | undefined
      let closedEarly = false
      transport.connect({ ...options, protocols }).then(
        opened => {
          if (closedEarly) return opened.close()
          link = opened
          opened.listen({
            frame: frame => handler.frame(frame),
            closed: (code, reason) => handler.closed(code, reason),
          })
          handler.opened()
        },
        (error: Error) => handler.closed(1006, error.message),
      )
      return {
        send: frame => void link?.send(frame),
        /** Drops the link without a word: for `faultLink`. */
        terminate() {
          if (link !== undefined) link.terminate()
          else this.close(1006, '')
        },
        close(code, reason) {
          if (link !== undefined) return link.close(code, reason)
          closedEarly = true
          queueMicrotask(() => handler.closed(code, reason))
        },
      }
    },
  }
}
