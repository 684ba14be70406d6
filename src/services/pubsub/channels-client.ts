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
  position: ChannelPosition | undefined
  /** The question under way. */
  asking: Promise<Subscribed> | undefined
  /** How it went on last; undefined when it has not, or is to be asked again. */
  how: Recovered | undefined
  retry: ReturnType<typeof setTimeout> | undefined
  /** Milliseconds before the next attempt. */
  delay: number
}

type Line = [offset: number, ...message: unknown[]]
type Answer = [
  run: number,
  epoch: string,
  offset: number,
  recovered: boolean,
  reason: RecoveryReason | null,
  lines: Line[],
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

    service.onmessage = message => {
      const [run] = Array.isArray(message) ? message : []
      if (typeof run !== 'number') deliver(message)
      else if (run === 0) renew()
      else receive(message as unknown[])
    }

    return {
      on,
      once,
      async subscribe(name, options = {}) {
        let channel = channels.get(name)
        if (channel === undefined) {
          const { since: position } = options
          channel = {
            name,
            options,
            position,
            count: 0,
            asking: undefined,
            how: undefined,
            retry: undefined,
            delay: MIN_DELAY,
          }
          channels.set(name, channel)
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
        if (channel === undefined || --channel.count > 0) return
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

    /** A new connection: asks for all channels from where they are. */
    function renew(): void {
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
          tell(channel, { recovered: false, reason: 'refused', count: 0, error })
        }
      })
    }

    function ask(channel: Channel): Promise<Subscribed> {
      const { name, position } = channel
      asked++
      const asking = service
        .call(['subscribe', name, position ? [position.epoch, position.offset] : null])
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
      [run, epoch, offset, recovered, reason, lines]: Answer,
    ): Subscribed {
      const how = { recovered, count: 0, ...(reason && { reason }) }
      channel.asking = undefined
      channel.how = how
      channel.delay = MIN_DELAY
      if (epoch !== '' && !recovered) channel.position = { epoch, offset: offset - lines.length }
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
      if (offset === 0) return deliver(event)
      // The run has ended, or something is missing: ask for what comes next.
      if (offset === undefined || offset > channel.position!.offset + 1) {
        runs.delete(run)
        return askAgain(channel)
      }
      advance(channel, line)
    }

    /** Delivers a line unless it was delivered before; tells whether there was anything to deliver. */
    function advance(channel: Channel, [offset, ...message]: Line): boolean {
      const { position } = channel
      if (position === undefined || offset <= position.offset) return false
      channel.position = { epoch: position.epoch, offset }
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
