import type { ServiceClient } from '../service.js'
import type {
  ChannelPosition,
  ChannelsClient,
  HistoryEntry,
  PublicationPlace,
  Recovered,
  RecoveryReason,
  Subscribed,
  SubscribeOptions,
} from './channels-api.js'
import { pubsubClient } from './client.js'

export type {
  ChannelPosition,
  ChannelsClient,
  ClientHistoryOptions,
  ClientHistoryPage,
  HistoryEntry,
  PublicationPlace,
  Recovered,
  RecoveryReason,
  Subscribed,
  SubscribeOptions,
} from './channels-api.js'

interface Channel {
  readonly name: string
  readonly options: SubscribeOptions
  /** How often it was subscribed. */
  count: number
  /** Whether the server has subscribed it. */
  told: boolean
  position: ChannelPosition | undefined
  /** The question under way. */
  asking: Promise<Subscribed> | undefined
  /** How it went on last; undefined when it has not, or is to be asked again. */
  how: Recovered | undefined
  retry: ReturnType<typeof setTimeout> | undefined
  /** Milliseconds before the next attempt. */
  delay: number
  /** Whether it was given the state before. */
  stated?: boolean
}

/** What the server says of a subscription that it has made: where the channel was, or that it is no more. */
type ServersWord =
  | [word: -1, name: string, epoch: string, offset: number]
  | [word: -1, name: string, epoch?: undefined, offset?: undefined]
type Line = [offset: number, ...message: unknown[]]
type Answer = [
  run: number,
  epoch: string,
  offset: number,
  recovered: boolean,
  reason: RecoveryReason | null,
  lines: Line[],
  state?: unknown,
]

/** Refusals that say nothing of the next attempt. */
const PASSING = [
  'ENGINE_UNAVAILABLE',
  'TIMEOUT',
  'OVERLOADED',
  'SESSION_UNAVAILABLE',
  'INTERNAL',
  'CANCELLED',
]
/** Refusals with the connection: the next one asks again. */
const GONE = ['CONNECTION_LOST', 'NOT_CONNECTED', 'DRAINING', 'DRAIN_TIMEOUT']
const MIN_DELAY = 500
const MAX_DELAY = 30_000

/**
 * The client half of PubSub with `channels`, for browsers and Node.
 *
 * @example
 * const client = createClient<typeof app>({ url, services: { chat: channelsClient } })
 * await client.connect()
 * const { recovered } = await client.api.chat.subscribe('public:lobby', { since })
 */
export const channelsClient = {
  client<M = Record<string, unknown[]>>(service: ServiceClient): ChannelsClient<M> {
    const { on, once } = pubsubClient.client<M>(service)
    const deliver = service.onmessage!
    const channels = new Map<string, Channel>()
    /** Subscribed channels by their runs on this connection. */
    const runs = new Map<number, Channel>()
    const listeners = new Set<{ readonly listener: (channel: string, how: Recovered) => void }>()
    /** Messages of runs whose answer has come but is not handled yet. */
    let early: unknown[][] = []
    let asked = 0
    /** Counts connections: runs are those of one. */
    let connection = 0

    service.onmessage = message => {
      const [run] = Array.isArray(message) ? message : []
      if (typeof run !== 'number') deliver(message)
      else if (run === 0) renew()
      else if (run === -1) serverSubscribes(message as ServersWord)
      else receive(message as unknown[])
    }

    return {
      on,
      once,
      async subscribe(name, options = {}) {
        let channel = channels.get(name)
        if (channel === undefined) {
          channel = begin(name, options, options.since)
        }
        channel.count++
        try {
          if (channel.how !== undefined) return { ...channel.how, position: channel.position }
          return await (channel.asking ?? ask(channel))
        } catch (error) {
          if (--channel.count === 0) forget(channel)
          throw error
        }
      },
      unsubscribe(name) {
        const channel = channels.get(name)
        if (channel === undefined || channel.count === 0 || --channel.count > 0 || channel.told) return
        forget(channel)
        // A connection that is gone has no subscriptions.
        service.call(['unsubscribe', name]).catch(() => {})
      },
      async publish(channel, event, ...args) {
        return placeOf(await service.call(['publish', channel, event, ...args]))
      },
      async publishOnce(key, channel, event, ...args) {
        return placeOf(await service.call(['once', key, channel, event, ...args]))!
      },
      position: name => channels.get(name)?.position,
      async history(name, { since, ...options } = {}) {
        const from = since && { since: [since.epoch, since.offset] }
        const page = (await service.call(['history', name, { ...options, ...from }])) as HistoryAnswer
        const [epoch, offset, complete, reason, lines] = page
        const entries = lines.flatMap(([time, offset, event, ...args]) =>
          event === undefined ? [] : [{ offset, time, event, args } as HistoryEntry<M>],
        )
        return { position: { epoch, offset }, entries, complete, ...(reason && { reason }) }
      },
      onrecovered(listener) {
        const entry = { listener }
        listeners.add(entry)
        return () => void listeners.delete(entry)
      },
    }

    function begin(
      name: string,
      options: SubscribeOptions,
      position: ChannelPosition | undefined,
      told = false,
    ): Channel {
      const channel: Channel = {
        name,
        options,
        position,
        told,
        count: 0,
        asking: undefined,
        how: undefined,
        retry: undefined,
        delay: MIN_DELAY,
      }
      channels.set(name, channel)
      return channel
    }

    /** The server has subscribed this client, and something was published; or it does so no more. */
    function serverSubscribes([, name, epoch, offset]: ServersWord): void {
      const channel = channels.get(name)
      if (epoch !== undefined) {
        // One that is known asks, or will, from where it is.
        if (channel === undefined) askAgain(begin(name, {}, { epoch, offset }, true))
      } else if (channel?.told) {
        channel.told = false
        if (channel.count > 0) return askAgain(channel)
        forget(channel)
        service.call(['unsubscribe', name]).catch(() => {})
      }
    }

    /** A new connection: asks for all channels from where they are. */
    function renew(): void {
      connection++
      runs.clear()
      early = []
      // What is under way was asked on this connection already.
      for (const channel of [...channels.values()]) if (channel.asking === undefined) askAgain(channel)
    }

    function askAgain(channel: Channel): void {
      clearTimeout(channel.retry)
      channel.how = undefined
      if (channel.options.recover === false) channel.position = undefined
      ask(channel).catch(error => {
        if (channels.get(channel.name) !== channel || GONE.includes(error.code)) return
        if (PASSING.includes(error.code)) {
          tell(channel, { recovered: false, reason: 'unavailable', count: 0 })
          channel.retry = setTimeout(askAgain, channel.delay * (0.5 + Math.random() / 2), channel)
          // Node would wait for it.
          ;(channel.retry as { unref?(): void }).unref?.()
          channel.delay = Math.min(channel.delay * 2, MAX_DELAY)
        } else {
          forget(channel)
          // The server has taken back what it had subscribed, which nobody here has asked for.
          if (channel.count > 0) tell(channel, { recovered: false, reason: 'refused', count: 0, error })
        }
      })
    }

    function ask(channel: Channel): Promise<Subscribed> {
      const { name, position, count, options } = channel
      asked++
      const since = position ? [position.epoch, position.offset] : null
      const asking = service
        .call(['subscribe', name, since, ...extras(count, options)])
        .then(
          answer => settle(channel, position, answer as Answer),
          error => {
            channel.asking = undefined
            throw error
          },
        )
        .finally(() => {
          if (--asked === 0) early = []
        })
      channel.asking = asking
      return asking
    }

    function settle(
      channel: Channel,
      since: ChannelPosition | undefined,
      [run, epoch, offset, recovered, reason, lines, ...state]: Answer,
    ): Subscribed {
      const how = { recovered, count: 0, ...(reason && { reason }) }
      channel.asking = undefined
      channel.how = how
      channel.delay = MIN_DELAY
      if (epoch !== '' && !recovered) {
        channel.position = { epoch, offset: lines.length > 0 ? lines[0]![0] - 1 : offset }
      }
      if (state.length === 0) return goOn(channel, since, how, run, epoch, offset, lines)
      const begun = { ...how, state: state[0] }
      if (since || channel.stated) tell(channel, begun)
      channel.stated = true
      // Those that wait for the state get it before what follows.
      const opened = connection
      asked++
      setTimeout(() => {
        if (opened === connection) goOn(channel, undefined, how, run, epoch, offset, lines)
        if (--asked === 0) early = []
      })
      return { ...begun, position: channel.position }
    }

    function goOn(
      channel: Channel,
      since: ChannelPosition | undefined,
      how: { recovered: boolean; count: number },
      run: number,
      epoch: string,
      offset: number,
      lines: Line[],
    ): Subscribed {
      for (const line of lines) {
        if (channels.get(channel.name) !== channel) break
        if (advance(channel, line)) how.count++
      }
      if (channels.get(channel.name) !== channel) return { ...how, position: channel.position }
      if (epoch !== '') channel.position = { epoch, offset: Math.max(offset, channel.position!.offset) }
      if (since) tell(channel, how)
      runs.set(run, channel)
      const position = channel.position
      const waiting = early
      early = []
      for (const message of waiting) receive(message)
      return { ...how, position }
    }

    function receive(message: unknown[]): void {
      const [run, ...line] = message as [number, ...Line]
      const channel = runs.get(run)
      if (channel === undefined || channel.asking !== undefined) {
        if (asked > 0) early.push(message)
        return
      }
      if (channels.get(channel.name) !== channel) return void runs.delete(run)
      const [offset, ...event] = line
      if (offset === -1) return skip(channel, event as [number, number])
      if (offset === 0) return deliver(event)
      // The run has ended, or something is missing: ask for what comes next.
      if (offset === undefined || offset > channel.position!.offset + 1) {
        runs.delete(run)
        return askAgain(channel)
      }
      advance(channel, line)
    }

    /** There is nothing for this client up to an offset; so many were dropped. */
    function skip(channel: Channel, [offset, dropped]: [number, number]): void {
      const { position } = channel
      if (position && offset > position.offset) channel.position = { epoch: position.epoch, offset }
      if (dropped > 0) tell(channel, { recovered: false, reason: 'slow', count: 0, dropped })
    }

    /** Delivers a line unless it was delivered before; tells whether there was anything to deliver. */
    function advance(channel: Channel, [offset, ...message]: Line): boolean {
      const { position } = channel
      if (offset > 0) {
        if (position === undefined || offset <= position.offset) return false
        channel.position = { epoch: position.epoch, offset }
      }
      if (message.length > 0) deliver(message)
      return message.length > 0
    }

    function forget(channel: Channel): void {
      clearTimeout(channel.retry)
      if (channels.get(channel.name) === channel) channels.delete(channel.name)
    }

    function tell({ name }: Channel, how: Recovered): void {
      for (const entry of [...listeners]) {
        try {
          if (listeners.has(entry)) entry.listener(name, how)
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
    }
  },
}

type HistoryAnswer = [
  epoch: string,
  offset: number,
  complete: boolean,
  reason: 'epoch' | 'trimmed' | 'ahead' | null,
  lines: [time: number, offset: number, event: string | undefined, ...args: unknown[]][],
]

function placeOf(value: unknown): PublicationPlace | undefined {
  if (!Array.isArray(value)) return undefined
  const [epoch, offset, duplicate] = value
  return { epoch, offset, duplicate }
}

/** What follows the position in a question: that the server has subscribed it, or what the application wants. */
function extras(count: number, { filter, state }: SubscribeOptions): unknown[] {
  if (count === 0) return [true]
  if (filter === undefined && !state) return []
  return [{ ...(filter && { filter }), ...(state && { state }) }]
}
