import type { Frame } from '../codec/codec.js'
import type { LinkHandler, Transport } from '../transports/transport.js'
import { LinkRecorder } from './link-recorder.js'
import { type RecordedLink, RecordingHost } from './recording-host.js'

/** The client's end of a link, as the suite drives it. */
export interface ConformanceClient {
  /** The subprotocol agreed; empty when none was. */
  readonly protocol: string
  send(frame: Frame): unknown
  close(code: number, reason: string): void
  /** Drops the link without a word. */
  terminate(): void
  /** Stops reading. */
  pause(): void
  resume(): void
}

/** A transport under test, and what connects to it. */
export interface ConformanceSubject {
  /** Fresh and not started; the suite starts and stops it. */
  readonly transport: Transport
  /**
   * Connects a client whose events go to the handler. MUST reject when the server refuses, with an
   * error whose `data.status` is the status, and when nothing listens.
   */
  connect(handler: LinkHandler, protocols: readonly string[]): Promise<ConformanceClient>
  /** A transport that wants the place the first one has taken; leave out where none can. */
  rival?(): Transport
  /** Releases what the subject opened besides the transport. */
  dispose?(): Promise<void> | void
}

/** The runner's functions, such as those of vitest or jest. */
export interface TestRunner {
  describe(name: string, body: () => void): void
  readonly test: {
    (name: string, body: () => Promise<void>): void
    skip(name: string, body: () => Promise<void>): void
  }
  expect(actual: unknown): { toBe(expected: unknown): void; toEqual(expected: unknown): void }
}

/** What each test of the suite works with: a started transport and its host. */
export interface Fixture {
  readonly subject: ConformanceSubject
  readonly transport: Transport
  readonly host: RecordingHost
  /** Connects a client and waits for the server's end. */
  pair(): Promise<{ client: ConformanceClient; seen: LinkRecorder; server: RecordedLink }>
}

/** Runs a test on a fresh subject, started, and stops it afterwards. */
export async function withFixture(
  setup: () => ConformanceSubject,
  body: (fixture: Fixture) => Promise<void>,
) {
  const subject = setup()
  const { transport } = subject
  const host = new RecordingHost()
  const pair = async () => {
    const seen = new LinkRecorder()
    const [client, server] = await Promise.all([subject.connect(seen, []), host.nextLink()])
    return { client, seen, server }
  }
  try {
    await transport.start(host)
    await body({ subject, transport, host, pair })
  } finally {
    await transport.stop()
    await subject.dispose?.()
  }
}

/** A frame in a form that deep equality compares by kind and content. */
export function plain(frame: Frame): unknown {
  return typeof frame === 'string' ? { text: frame } : { bytes: Array.from(frame).join() }
}

/** A promise and its resolver. */
export function deferred<T>() {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}

/** What a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('Expected a failure, and there was none')
}

/** What a function throws. */
export function thrown(body: () => void): unknown {
  try {
    body()
  } catch (error) {
    return error
  }
  return undefined
}

/** The code of an error. */
export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}

/** The HTTP status that a refused client was given. */
export function statusOf(error: unknown): unknown {
  return (error as { data?: { status?: unknown } } | undefined)?.data?.status
}
