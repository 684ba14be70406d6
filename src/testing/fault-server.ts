import type { Link, LinkHandler, Transport, TransportHost } from '../transports/transport.js'
import type { Junction } from './fault-client.js'

/** A server's end of a transport whose links go over a wire with faults. */
export function faultyServer(transport: Transport, junction: Junction): Transport {
  const held = new Set<() => void>()
  return {
    name: transport.name,
    capabilities: transport.capabilities,
    ...(transport.path !== undefined && { path: transport.path }),
    start: host => transport.start(faultyHost(host, junction, held)),
    address: () => transport.address(),
    stopAccepting: () => transport.stopAccepting(),
    async stop() {
      for (const end of held) end()
      await transport.stop()
    },
  }
}

function faultyHost(host: TransportHost, junction: Junction, held: Set<() => void>): TransportHost {
  return {
    ...(host.server && { server: host.server }),
    ...(host.routes && { routes: host.routes }),
    ...(host.knows && { knows: id => host.knows!(id) }),
    authorize: handshake => host.authorize(handshake),
    log: (level, message, details) => host.log(level, message, details),
    connect(link, handshake, verdict): LinkHandler {
      let told = false
      let gone = false
      const release = (): void => link.terminate()
      const tell = (code: number, reason: string): void => {
        if (told) return
        told = true
        held.delete(stopped)
        if (gone) junction.left(wire)
        handler.closed(code, reason)
      }
      const broken = (): void => tell(1006, '')
      const stopped = (): void => queueMicrotask(broken)
      const wire = junction.join(
        { frame: frame => told || handler.frame(frame), closed: tell, broken },
        {
          frame: frame => void link.send(frame),
          closed: (code, reason) => link.close(code, reason),
          broken: release,
        },
        release,
      )
      const end: Link = {
        send(frame) {
          if (told) return false
          wire.send('down', frame)
          return link.bufferedBytes < FULL
        },
        get bufferedBytes() {
          return link.bufferedBytes
        },
        pause: () => link.pause(),
        resume: () => link.resume(),
        close(code, reason) {
          if (told) return
          if (wire.passes('down')) return wire.close('down', code, reason)
          queueMicrotask(() => tell(code, reason))
        },
        terminate() {
          if (wire.passes('down')) link.terminate()
          wire.forget('up')
          queueMicrotask(broken)
        },
      }
      const handler = host.connect(end, handshake, verdict)
      held.add(stopped)
      return {
        frame: frame => wire.send('up', frame),
        drained: () => told || handler.drained(),
        closed(code, reason) {
          gone = true
          wire.forget('down')
          if (told) junction.left(wire)
          else wire.close('up', code, reason)
        },
      }
    },
  }
}

/** Bytes from which on a link counts as full, as with the transports' own default. */
const FULL = 256 * 1024
