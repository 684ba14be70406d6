import { SocketStreamError } from '../errors.js'
import type { InboundCalls } from '../services/service.js'

/** What is done with frames that the server sends of its own accord. */
export interface InboundListener {
  /** Takes a frame; not every one is for this listener. True for a call, which is then answered here. */
  frame: NonNullable<InboundCalls['inbound']>
  /** The connection has gone for good: nothing of it goes on. */
  gone(): void
}

/** Hears a client's frames that are no answers, and when its connection ends; beside others that do. */
export function hearInbound(host: InboundCalls, listener: InboundListener): void {
  const others = host.inbound
  host.inbound = (...frame) => {
    const taken = others?.(...frame)
    return listener.frame(...frame) || taken
  }
  let connection = connectionOf(host)
  host.on('status', () => {
    const now = connectionOf(host)
    // A connection that is resumed stays, whatever the status says meanwhile.
    if (connection !== undefined && now !== connection) listener.gone()
    connection = now
  })
}

function connectionOf(host: InboundCalls): unknown {
  try {
    return host.connected
  } catch {
    return undefined
  }
}

/** An error as it is sent: with its code if it has one. */
export function errorOf(error: unknown, otherwise: string): Record<string, unknown> {
  if (!(error instanceof SocketStreamError)) return { code: 'INTERNAL', message: otherwise }
  const { code, message, data } = error
  return { code, message, ...(data === undefined ? {} : { data }) }
}
