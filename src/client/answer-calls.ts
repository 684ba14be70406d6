import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { InboundCalls, ServiceClient } from '../services/service.js'
import { errorOf, hearInbound } from './inbound.js'

/** Answers one call of the server: with a value, a promise of one, or an async iterable of items. */
export type CallHandler = (payload: unknown, options: { readonly signal: AbortSignal }) => unknown

type Send = (kind: number, id: number, payload: unknown) => void

/** One call of the server that has no final answer yet. */
interface Running {
  readonly controller: AbortController
  /** Items that the server takes. */
  credit: number
  wake: (() => void) | undefined
}

interface Answers {
  readonly handlers: Map<string, { readonly service: ServiceClient; readonly handler: CallHandler }>
}

const answersOf = new WeakMap<InboundCalls, Answers>()

/**
 * Has a client half answer the calls that the server makes.
 *
 * Another handler takes the place of the one before. What it throws reaches the server with `code`, `message`
 * and `data` if it has a code, otherwise as `INTERNAL`.
 */
export function answerCalls(service: ServiceClient, handler: CallHandler): void {
  const { host } = service
  if (host === undefined) {
    throw new SocketStreamError('INVALID_STATE', 'This client takes no calls: make it by createClient()')
  }
  let answers = answersOf.get(host)
  if (answers === undefined) {
    answers = { handlers: new Map() }
    answersOf.set(host, answers)
    listen(host, answers)
  }
  answers.handlers.set(service.name, { service, handler })
}

function listen(host: InboundCalls, { handlers }: Answers): void {
  const running = new Map<number, Running>()
  const gone = (): void => {
    for (const call of running.values()) stop(call)
    running.clear()
  }
  const take: NonNullable<InboundCalls['inbound']> = (frame, link, codec) => {
    const { kind, service, id, payload } = codec.decode(frame)
    const call = running.get(id)
    if (kind === KIND.CREDIT && call !== undefined) {
      call.credit += payload as number
      call.wake?.()
    } else if (kind === KIND.CANCEL && call !== undefined) {
      running.delete(id)
      stop(call)
    } else if (kind === KIND.CALL) {
      const found = [...handlers.values()].find(entry => entry.service.id === service)
      // Nothing is sent once the link has closed.
      const send: Send = (...[kind, id, payload]) => {
        const frame = codec.encode(kind, 0, id, payload)
        const { maxFrame } = host.welcome!
        if (frame.length > maxFrame) {
          throw new SocketStreamError('FRAME_TOO_BIG', `The answer has ${frame.length} bytes of ${maxFrame}`)
        }
        link.send(frame)
      }
      void answer(id, found?.handler ?? refuse, payload, send)
      return true
    }
    return undefined
  }
  hearInbound(host, { frame: take, gone })

  async function answer(id: number, handler: CallHandler, payload: unknown, send: Send): Promise<void> {
    const call: Running = { controller: new AbortController(), credit: host.welcome!.credit, wake: undefined }
    running.set(id, call)
    try {
      const { signal } = call.controller
      const value = await handler(payload, { signal })
      if (isIterable(value)) await stream(id, call, value, send)
      if (!signal.aborted)
        send(isIterable(value) ? KIND.END : KIND.REPLY, id, isIterable(value) ? null : value)
    } catch (error) {
      if (!call.controller.signal.aborted) sendError(id, error, send)
    } finally {
      if (running.get(id) === call) running.delete(id)
    }
  }

  function sendError(id: number, error: unknown, send: Send): void {
    try {
      send(KIND.ERROR, id, errorOf(error, 'The client failed'))
    } catch {
      // What cannot be sent is its data, or too much of it.
      send(KIND.ERROR, id, errorOf(undefined, 'The client failed'))
    }
  }

  async function stream(id: number, call: Running, items: AsyncIterable<unknown>, send: Send): Promise<void> {
    const { signal } = call.controller
    for await (const item of items) {
      while (call.credit === 0 && !signal.aborted) {
        await new Promise<void>(wake => {
          call.wake = wake
        })
      }
      if (signal.aborted) return
      call.credit--
      send(KIND.ITEM, id, item)
    }
  }
}

function stop(call: Running): void {
  call.controller.abort()
  call.wake?.()
}

function refuse(): never {
  throw new SocketStreamError('UNKNOWN_METHOD', 'This service of the client takes no calls')
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
