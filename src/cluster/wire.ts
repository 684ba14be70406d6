import { pack, unpack } from '../codec/packed.js'
import type { Bus } from '../engines/bus.js'
import type { Subscription } from '../engines/presence.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { cancelled, lost, noResponder } from './absence.js'
import { type Answering, Answers, MOST_BYTES, tooBig } from './answering.js'
import { atMost, monotonicClock, pause } from './clock.js'
import { type AskDetails, type ClusterMessage, type ClusterMessageOf, decode, encode } from './messages.js'
import { Questions } from './questions.js'

/** Messages to other servers that wait for the engine at once; past it they are dropped. */
const MOST_SENDING = 10_000
/** Servers that are remembered, of those that have gone and of addresses. */
const MOST_GONE = 1000
/** Milliseconds after which a server that stops is asked anew whether it hears. */
const LAST = 250
/** Milliseconds in which the others have to note that this server stops. */
const NOTING = 1000
/** The address that every server listens at. */
const GROUP = '$cluster'

/** What is done with what other servers say. */
export interface WireHost {
  /** A message that wants no answer. */
  heard(message: ClusterMessageOf<'relay' | 'count' | 'ended' | 'tell'>): void
  readonly answer: Answering
}

/** How something is asked. */
export interface AskOptions extends AskDetails {
  /** Milliseconds. */
  readonly deadline: number
  /** Ends the wait with `CANCELLED`, and tells the server that was asked. */
  readonly signal?: AbortSignal | undefined
}

/** Messages between the servers of a cluster: said to all, at most once, or asked of one, with a deadline. */
export class ClusterWire {
  readonly #bus: Bus
  readonly #id: string
  readonly #host: WireHost
  readonly #log: Logger
  readonly #questions = new Questions((node, id) => this.say(['cancel', this.#id, id], node))
  readonly #answers: Answers
  readonly #listening = new Map<string, Subscription>()
  /** Servers that have said that they stop. */
  readonly #leaving = new Set<string>()
  /** Servers that have gone, and have not come back. */
  readonly #gone = new Set<string>()
  /** Made once: the engine knows them again. */
  readonly #addresses = new Map<string, string>()
  /** Servers that have not noted yet that this one stops, and who waits for it. */
  readonly #unaware = new Set<string>()
  #noted: (() => void) | undefined
  #sending = 0
  /** What went to the bus last: messages with one promise are looked after together. */
  #saying: { readonly sent: Promise<unknown>; said: number; messages: number } | undefined
  #asking: { readonly sent: Promise<boolean>; readonly ids: number[] } | undefined
  /** Messages that were not sent: too many, too large, or the engine had failed. */
  dropped = 0
  #closed = false

  constructor(bus: Bus, id: string, host: WireHost, log: Logger) {
    this.#bus = bus
    this.#id = id
    this.#host = host
    this.#log = log
    const reply = (to: string, bytes: Uint8Array): void => this.#await(bus.send(this.#address(to), bytes), 0)
    this.#answers = new Answers(id, host.answer, reply, log)
  }

  /** Hears the others from when it resolves. If it rejects, the next one goes on from what has succeeded. */
  async listen(): Promise<void> {
    const tries = await Promise.allSettled([GROUP, `${GROUP}/${this.#id}`].map(name => this.#listen(name)))
    for (const attempt of tries) if (attempt.status === 'rejected') throw attempt.reason
  }

  /** Says something to all others, or to one, and does not wait. @throws SocketStreamError `UNENCODABLE` */
  say(message: ClusterMessage, node?: string): void {
    const bytes = encode(message)
    if (this.#sending >= MOST_SENDING) {
      this.#drop(
        new SocketStreamError('OVERLOADED', `${MOST_SENDING} messages wait to be sent to other servers`),
      )
      return
    }
    this.#await(this.#bus.send(node === undefined ? GROUP : this.#address(node), bytes), 1)
  }

  /**
   * Asks one server.
   *
   * Rejects with what it has thrown; `NO_RESPONDER` when nobody heard it; `TIMEOUT`, `CONNECTION_LOST` and `CANCELLED`
   * when nobody knows whether it was done; `OVERLOADED`, `FRAME_TOO_BIG`, `UNENCODABLE`, `ENGINE_UNAVAILABLE`.
   */
  ask(node: string, name: string, payload: unknown, options: AskOptions): Promise<unknown> {
    const { signal, deadline, key = null, once = null } = options
    try {
      if (signal?.aborted) throw cancelled(signal)
      if (this.#gone.has(node) || this.#leaving.has(node)) throw noResponder(`The server ${node} has gone`)
      const id = this.#questions.next()
      const bytes = encode(['ask', this.#id, id, name, pack(payload), Math.ceil(deadline), key, once])
      if (bytes.length > MOST_BYTES) throw tooBig('What is asked', bytes)
      const answer = this.#questions.wait(id, node, deadline, signal)
      this.#send(node, bytes, id)
      return answer
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** A server has come, or is there again. */
  joined(node: string): void {
    this.#gone.delete(node)
  }

  /**
   * A server has gone: fails what it was asked. One that stops as planned answers as long as it hears.
   *
   * One that is only paused does not act any more when it goes on, as its leases are over.
   */
  left(node: string): void {
    if (this.#gone.size >= MOST_GONE) this.#gone.delete(this.#gone.values().next().value!)
    this.#gone.add(node)
    this.#note(node)
    const ids = this.#questions.ids(node)
    if (this.#leaving.delete(node)) void this.#awaitLast(node, ids)
    else for (const id of ids) this.#questions.fail(id, lost(`The server ${node} has gone`))
  }

  /**
   * Tells the others that this server is about to leave, and waits until they have noted it: what they asked before has come
   * by then, and is still answered; they ask nothing more.
   */
  async leaving(others: ReadonlySet<string>): Promise<void> {
    for (const other of others) this.#unaware.add(other)
    const noted = new Promise<void>(resolve => {
      this.#noted = resolve
    })
    const said = this.#bus.send(GROUP, encode(['leaving', this.#id])).then(() => noted)
    await atMost(monotonicClock, NOTING, said)
  }

  /** Hears nothing any more, once what is being answered has been, or after so many milliseconds. */
  async close(ms: number): Promise<void> {
    await this.#answers.finished(ms)
    this.#closed = true
    for (const { close } of this.#listening.values()) close()
    for (const id of this.#questions.ids()) this.#questions.fail(id, lost('This server has stopped'))
  }

  async #listen(name: string): Promise<void> {
    if (this.#listening.has(name)) return
    const listening = await this.#bus.listen(name, bytes => this.#hear(bytes))
    if (this.#closed) listening.close()
    else this.#listening.set(name, listening)
  }

  /** Waits for the answers of a server that stops, until it does not hear any more. */
  async #awaitLast(node: string, ids: readonly number[]): Promise<void> {
    while (ids.some(id => this.#questions.has(id))) {
      const hears = await this.#bus
        .send(this.#address(node), encode(['cancel', this.#id, 0]))
        .catch(() => true)
      if (!hears) for (const id of ids) this.#questions.fail(id, lost(`The server ${node} has stopped`))
      await pause(monotonicClock, LAST)
    }
  }

  /** A server knows that this one stops, or has gone itself. */
  #note(node: string): void {
    if (this.#unaware.delete(node) && this.#unaware.size === 0) this.#noted?.()
  }

  /** Where a server listens for what is for it alone. */
  #address(node: string): string {
    const known = this.#addresses.get(node)
    if (known !== undefined) return known
    if (this.#addresses.size >= MOST_GONE) this.#addresses.clear()
    const address = `${GROUP}/${node}`
    this.#addresses.set(node, address)
    return address
  }

  #send(node: string, bytes: Uint8Array, id: number): void {
    const sent = this.#bus.send(this.#address(node), bytes)
    const together = this.#asking
    if (together?.sent === sent) {
      together.ids.push(id)
      return
    }
    const ids = [id]
    this.#asking = { sent, ids }
    sent.then(
      wasHeard => {
        if (wasHeard) return
        for (const each of ids) this.#questions.fail(each, noResponder(`The server ${node} is not there`))
      },
      error => {
        for (const each of ids) this.#questions.fail(each, error)
      },
    )
  }

  /** Notes when a message is on its way no more. @param said how many of `#sending` it is */
  #await(sent: Promise<unknown>, said: 0 | 1): void {
    this.#sending += said
    const together = this.#saying
    if (together?.sent === sent) {
      together.said += said
      together.messages++
      return
    }
    const saying = { sent, said: said as number, messages: 1 }
    this.#saying = saying
    sent.then(
      () => {
        this.#sending -= saying.said
      },
      error => {
        this.#sending -= saying.said
        for (let lost = 0; lost < saying.messages; lost++) this.#drop(error)
      },
    )
  }

  #hear(bytes: Uint8Array): void {
    const message = decode(bytes)
    // A broadcast of the engine's bus reaches every listener, whoever it is for.
    if (message === undefined || message[1] === this.#id || this.#closed) return
    switch (message[0]) {
      case 'relay':
      case 'count':
      case 'ended':
      case 'tell':
        return this.#host.heard(message)
      case 'leaving':
        this.#leaving.add(message[1])
        return this.say(['noted', this.#id], message[1])
      case 'noted':
        return this.#note(message[1])
      case 'ask':
        return this.#answers.answer(message)
      case 'cancel':
        return this.#answers.cancel(message[1], message[2])
      case 'answer':
        return this.#questions.answer(message[2], message[3])
      case 'absent':
        return this.#questions.fail(message[2], noResponder(message[3]))
      case 'failed':
        return this.#questions.fail(message[2], failure(message))
    }
  }

  #drop(error: unknown): void {
    if (this.#closed) return
    // Of many that fail together the first says enough.
    if (this.dropped++ % 1000 === 0)
      this.#log.warn('messages to other servers were lost', { error, lost: this.dropped })
  }
}

/** What a handler on another server has thrown. */
function failure([, , , code, text, details]: ClusterMessageOf<'failed'>): Error {
  try {
    return new SocketStreamError<string>(code, text, unpack(details) as object)
  } catch (error) {
    return error as Error
  }
}
