import { pack, unpack } from '../codec/packed.js'
import type { Bus } from '../engines/bus.js'
import type { Subscription } from '../engines/presence.js'
import { hasCode, SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { type ClusterMessage, decode, encode } from './messages.js'

/** Messages to other servers that wait for the engine at once; past it they are dropped. */
const MOST_SENDING = 10_000
/** Questions that wait for their answers at once, and questions being answered. */
const MOST_ASKED = 10_000
/** The address that every server listens at. */
const GROUP = '$cluster'

/** What is done with what other servers say. */
export interface WireHost {
  /** A message that wants no answer. */
  heard(message: ClusterMessage & readonly ['relay' | 'ended', ...unknown[]]): void
  /** Answers a question; what it throws goes to whoever asked. */
  answer(name: string, payload: unknown, key: string | undefined, from: string): unknown
}

interface Question {
  resolve(value: unknown): void
  reject(error: unknown): void
  readonly timer: NodeJS.Timeout
}

/** Messages between the servers of a cluster: said to all, at most once, or asked of one, with a deadline. */
export class ClusterWire {
  readonly #bus: Bus
  readonly #id: string
  readonly #host: WireHost
  readonly #log: Logger
  readonly #asked = new Map<number, Question>()
  #listening: Subscription[] = []
  #lastId = 0
  #sending = 0
  #answering = 0
  /** Messages that were not sent: too many, too large, or the engine had failed. */
  dropped = 0
  #closed = false

  constructor(bus: Bus, id: string, host: WireHost, log: Logger) {
    this.#bus = bus
    this.#id = id
    this.#host = host
    this.#log = log
  }

  /** Hears the others from when it resolves. */
  async listen(): Promise<void> {
    const hear = (bytes: Uint8Array) => this.#hear(bytes)
    const listening = await Promise.all([
      this.#bus.listen(GROUP, hear),
      this.#bus.listen(`${GROUP}/${this.#id}`, hear),
    ])
    if (this.#closed) for (const { close } of listening) close()
    else this.#listening = listening
  }

  /** Says something to all others, and does not wait. @throws SocketStreamError `UNENCODABLE` */
  say(message: ClusterMessage): void {
    const bytes = encode(message)
    if (this.#sending >= MOST_SENDING) {
      this.#drop(
        new SocketStreamError('OVERLOADED', `${MOST_SENDING} messages wait to be sent to other servers`),
      )
      return
    }
    this.#sending++
    this.#bus
      .send(GROUP, bytes)
      .catch(error => this.#drop(error))
      .finally(() => {
        this.#sending--
      })
  }

  /**
   * Asks one server.
   *
   * Rejects with what it has thrown; `NO_RESPONDER` when nobody heard it, `TIMEOUT` when nobody knows whether it was
   * done; `OVERLOADED`, `UNENCODABLE`, `ENGINE_UNAVAILABLE`.
   */
  async ask(
    node: string,
    name: string,
    payload: unknown,
    deadline: number,
    key: string | null = null,
  ): Promise<unknown> {
    if (this.#asked.size >= MOST_ASKED) {
      throw new SocketStreamError(
        'OVERLOADED',
        `${MOST_ASKED} questions to other servers wait for their answers`,
      )
    }
    const id = ++this.#lastId
    const bytes = encode(['ask', this.#id, id, name, pack(payload), key])
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        const text = `The server ${node} did not answer within ${deadline} ms; it may have done what was asked`
        this.#asked.delete(id)
        reject(new SocketStreamError('TIMEOUT', text))
      }, deadline)
      this.#asked.set(id, { resolve, reject, timer })
    })
    this.#bus.send(`${GROUP}/${node}`, bytes).then(
      wasHeard => {
        if (!wasHeard) this.#fail(id, noResponder(`The server ${node} is not there`))
      },
      error => this.#fail(id, error),
    )
    return answer
  }

  close(): void {
    this.#closed = true
    for (const { close } of this.#listening) close()
    for (const id of [...this.#asked.keys()]) {
      this.#fail(
        id,
        new SocketStreamError('TIMEOUT', 'This server has stopped; what was asked may have been done'),
      )
    }
  }

  #hear(bytes: Uint8Array): void {
    const message = decode(bytes)
    // A broadcast of the engine's bus reaches every listener, whoever it is for.
    if (message === undefined || message[1] === this.#id || this.#closed) return
    switch (message[0]) {
      case 'relay':
      case 'ended':
        return this.#host.heard(message)
      case 'ask':
        return void this.#answer(message)
      case 'answer':
        return this.#settle(message[2], question => question.resolve(unpack(message[3])))
      case 'absent':
        return this.#fail(message[2], noResponder(message[3]))
      case 'failed': {
        const [, , id, code, text, data] = message
        return this.#fail(id, new SocketStreamError<string>(code, text, { data: unpack(data) }))
      }
    }
  }

  async #answer([, from, id, name, payload, key]: ClusterMessage &
    readonly ['ask', ...unknown[]]): Promise<void> {
    let reply: Uint8Array
    try {
      if (this.#answering >= MOST_ASKED)
        throw new SocketStreamError('OVERLOADED', 'The server answers too much already')
      this.#answering++
      try {
        const value = await this.#host.answer(name, unpack(payload), key ?? undefined, from)
        reply = encode(['answer', this.#id, id, pack(value ?? null)])
      } finally {
        this.#answering--
      }
    } catch (error) {
      if (isAbsence(error)) {
        this.#reply(from, encode(['absent', this.#id, id, error.message]))
        return
      }
      const known = hasCode(error)
      if (!known) this.#log.error(`the answer to '${name}' of another server failed`, { error })
      const { code, message } = known
        ? error
        : { code: 'INTERNAL', message: 'The server asked has failed; see its log' }
      reply = encode(['failed', this.#id, id, code, message, packed((error as { data?: unknown })?.data)])
    }
    this.#reply(from, reply)
  }

  #reply(to: string, bytes: Uint8Array): void {
    this.#bus.send(`${GROUP}/${to}`, bytes).catch(error => this.#drop(error))
  }

  #fail(id: number, error: unknown): void {
    this.#settle(id, question => question.reject(error))
  }

  #settle(id: number, how: (question: Question) => void): void {
    const question = this.#asked.get(id)
    if (question === undefined) return
    this.#asked.delete(id)
    clearTimeout(question.timer)
    how(question)
  }

  #drop(error: unknown): void {
    if (this.#closed) return
    // Of many that fail together the first says enough.
    if (this.dropped++ % 1000 === 0)
      this.#log.warn('messages to other servers were lost', { error, lost: this.dropped })
  }
}

/** Errors that say for certain that nothing was done; what a handler throws may have the same code. */
const absences = new WeakSet<object>()

/** The error for what nobody has heard. */
export function noResponder(text: string): SocketStreamError {
  const done = '; nothing was done'
  const error = new SocketStreamError('NO_RESPONDER', text.endsWith(done) ? text : text + done)
  absences.add(error)
  return error
}

/** Whether a call may be made again elsewhere: nothing was done. */
export function isAbsence(error: unknown): error is SocketStreamError {
  return typeof error === 'object' && error !== null && absences.has(error)
}

/** What somebody's handler does: that it found nobody itself does not mean that nothing was done. */
export async function handled(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    if (!isAbsence(error)) throw error
    throw new SocketStreamError(
      'NO_RESPONDER',
      `What was asked for needs what is not there: ${error.message}`,
    )
  }
}

function packed(data: unknown): Uint8Array {
  try {
    return pack(data ?? null)
  } catch {
    return pack(null)
  }
}
