import type { Codec, Frame } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import { rpcClient, type UntypedRpcClient } from '../services/rpc/client.js'
import type { Call, CallOptions, InboundCalls, ServiceClient } from '../services/service.js'
import { errorOf, hearInbound } from './inbound.js'

/** What can be uploaded. */
export type UploadSource<T> = AsyncIterable<T> | Iterable<T> | ReadableStreamLike<T>

/** The standard `ReadableStream`, as far as it is used here. */
export interface ReadableStreamLike<T> {
  getReader(): {
    read(): Promise<{ done: false; value: T } | { done: true; value?: T | undefined }>
    cancel(reason?: unknown): Promise<unknown>
  }
}

/** Something that is sent item by item, as fast as the server reads it. */
export class Upload<T> implements AsyncIterable<T> {
  readonly #source: UploadSource<T>

  /** Use `upload`. */
  constructor(source: UploadSource<T>) {
    this.#source = source
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    const source = this.#source
    if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]()
    if ('getReader' in source) return readerOf(source)
    const steps = source[Symbol.iterator]()
    return {
      next: async () => steps.next(),
      return: async () => steps.return?.() ?? { done: true, value: undefined },
    }
  }
}

/**
 * Sends an iterable or a stream as an argument of one call of rpc, whose handler gets an `AsyncIterable` there.
 *
 * Its items are what can be sent: values, or `Uint8Array`s. It is read when the handler reads, and asked to return
 * when the handler wants no more of it or the call is over. One per call.
 *
 * @example await client.api.rpc.store('photo.jpg', upload(file.stream()))
 */
export function upload<T>(source: AsyncIterable<T> | Iterable<T>): AsyncIterable<T>
export function upload<T>(source: ReadableStreamLike<T>): AsyncIterable<T>
export function upload<T>(source: UploadSource<T>): AsyncIterable<T> {
  if (source === null || typeof source !== 'object') {
    throw new SocketStreamError(
      'INVALID_ARGUMENTS',
      'upload() takes an async iterable, an iterable or a stream',
    )
  }
  return new Upload(source)
}

/**
 * The client half of rpc whose calls may have an `upload(…)` among their arguments.
 *
 * @example createClient({ url, services: { rpc: rpcUploads } })
 */
export const rpcUploads = {
  stateless: true,
  client(service: ServiceClient): UntypedRpcClient {
    return rpcClient.client({ ...service, call: (payload, options) => call(service, payload, options) })
  },
}

/** Whoever sends what was uploaded, of one connection of a client. */
const runningOf = new WeakMap<InboundCalls, Map<number, Sending>>()

function call(service: ServiceClient, payload: unknown, options: CallOptions = {}): Call {
  const args = payload as readonly unknown[]
  const place = args.findIndex(arg => arg instanceof Upload)
  if (place < 0) return service.call(payload, options)
  if (args.slice(place + 1).some(arg => arg instanceof Upload)) {
    throw new SocketStreamError('INVALID_ARGUMENTS', 'A call has one upload: merge them, or make two calls')
  }
  const { host } = service
  if (host === undefined) {
    throw new SocketStreamError('INVALID_STATE', 'This client uploads nothing: make it by createClient()')
  }
  const sending = new Sending(args[place] as Upload<unknown>, host)
  const running = runningOf.get(host) ?? listen(host)
  let id = 0
  const answer = service.call(
    args.map((arg, index) => (index === place ? null : arg)),
    {
      ...options,
      extensions(callId, idempotencyKey) {
        id = callId
        return { upload: place - 1, ...(idempotencyKey && { idempotencyKey }) }
      },
    },
  )
  // It is not sent when it could not be encoded; then it fails.
  if (id !== 0) running.set(id, sending)
  sending.over = () => running.get(id) === sending && running.delete(id)
  const settled = (value?: unknown): void => {
    // Of a stream only the server knows when it ends.
    if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) sending.stop()
  }
  answer.then(settled, () => settled())
  return answer
}

function listen(host: InboundCalls): Map<number, Sending> {
  const running = new Map<number, Sending>()
  runningOf.set(host, running)
  hearInbound(host, {
    frame(frame, link, codec) {
      const { kind, id, payload } = codec.decode(frame)
      const sending = running.get(id)
      if (kind === KIND.CREDIT) sending?.grant(payload as number, { link, codec, id })
      else if (kind === KIND.CANCEL) sending?.stop()
      return undefined
    },
    gone() {
      for (const sending of [...running.values()]) sending.stop()
    },
  })
  return running
}

interface Way {
  readonly link: { send(frame: Frame): void }
  readonly codec: Pick<Codec, 'encode'>
  readonly id: number
}

/** One upload on its way. */
class Sending {
  /** Called once, when nothing more is sent. */
  over: () => unknown = () => {}
  readonly #iterator: AsyncIterator<unknown>
  readonly #host: InboundCalls
  #way: Way | undefined
  #credit = 0
  #stopped = false
  #wake: (() => void) | undefined

  constructor(items: AsyncIterable<unknown>, host: InboundCalls) {
    this.#iterator = items[Symbol.asyncIterator]()
    this.#host = host
  }

  /** The server takes this many more. */
  grant(items: number, way: Way): void {
    this.#credit += items
    this.#wake?.()
    if (this.#way === undefined) {
      this.#way = way
      void this.#run(way)
    }
  }

  /** Nobody wants more of it. */
  stop(): void {
    if (this.#stopped) return
    this.#end()
    this.#return()
  }

  #end(): void {
    this.#stopped = true
    this.#wake?.()
    this.over()
  }

  /** What the source throws while it is closed is nobody's. */
  #return(): void {
    Promise.resolve()
      .then(() => this.#iterator.return?.())
      .catch(() => {})
  }

  async #run(way: Way): Promise<void> {
    let reading = false
    try {
      while (!this.#stopped) {
        if (this.#credit === 0) {
          await new Promise<void>(wake => {
            this.#wake = wake
          })
          continue
        }
        reading = true
        const step = await this.#iterator.next()
        reading = false
        if (this.#stopped) return
        if (step.done === true) {
          this.#end()
          return this.#send(way, KIND.END, null)
        }
        this.#credit--
        this.#send(way, KIND.ITEM, step.value === undefined ? null : step.value)
      }
    } catch (error) {
      if (this.#stopped) return
      this.#end()
      // A source that has thrown has ended by itself.
      if (!reading) this.#return()
      try {
        this.#send(way, KIND.ERROR, errorOf(error, 'The upload failed'))
      } catch {
        // What cannot be sent is its data, or too much of it.
        this.#send(way, KIND.ERROR, errorOf(undefined, 'The upload failed'))
      }
    }
  }

  #send({ link, codec, id }: Way, kind: number, payload: unknown): void {
    const frame = codec.encode(kind, 0, id, payload)
    const { maxFrame = Infinity } = this.#host.welcome ?? {}
    if (frame.length > maxFrame) {
      throw new SocketStreamError(
        'FRAME_TOO_BIG',
        `An item of an upload has ${frame.length} bytes of ${maxFrame}`,
      )
    }
    link.send(frame)
  }
}

function readerOf<T>(source: ReadableStreamLike<T>): AsyncIterator<T> {
  const reader = source.getReader()
  return {
    next: async () => {
      const { done, value } = await reader.read()
      return done ? { done, value: undefined } : { done, value: value as T }
    },
    return: async () => {
      await reader.cancel()
      return { done: true, value: undefined }
    },
  }
}
