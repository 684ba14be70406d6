import type { ClientLink, ClientTransport } from '../client/transport.js'
import type { FaultWire, WireEnd } from './fault-wire.js'

/** Where links are joined by a wire with faults. */
export interface Junction {
  join(up: WireEnd, down: WireEnd, release: () => void): FaultWire
  /** Nothing of a link is held any more. */
  left(wire: FaultWire): void
}

/** A client's end of a transport whose links go over a wire with faults. */
export function faultyClient(transport: ClientTransport, junction: Junction): ClientTransport {
  return {
    open(url, protocols, handler): ClientLink {
      let told = false
      let closing = false
      let gone = false
      const tell = (code: number, reason: string): void => {
        if (told) return
        told = true
        if (gone) junction.left(wire)
        handler.closed(code, reason)
      }
      const release = (): void => drop(link)
      const wire = junction.join(
        {
          frame: frame => link.send(frame),
          closed: (code, reason) => link.close(code, reason),
          broken: release,
        },
        {
          frame: frame => told || handler.frame(frame),
          closed: tell,
          broken: () => tell(1006, 'the link broke'),
        },
        release,
      )
      const link: ClientLink = transport.open(url, protocols, {
        opened: () => told || handler.opened(),
        frame: frame => wire.send('down', frame),
        closed(code, reason) {
          gone = true
          wire.forget('up')
          if (told) return junction.left(wire)
          // The answer to its own close is not lost: it would be made up by the network's timeout.
          if (!closing) return wire.close('down', code, reason)
          wire.forget('down')
          tell(code, reason)
        },
      })
      return {
        send: frame => told || closing || wire.send('up', frame),
        close(code, reason) {
          if (told || closing) return
          closing = true
          if (wire.passes('up')) return wire.close('up', code, reason)
          wire.forget('down')
          queueMicrotask(() => tell(code, reason))
        },
      }
    },
  }
}

/** Ends a link without a word, where its transport can: WebSockets of Node and links in memory. */
function drop(link: ClientLink & { terminate?(): void }): void {
  if (typeof link.terminate === 'function') link.terminate()
  else link.close(4000, 'cut')
}
