import type { LiveSession } from '../actors/live-session.js'
import { sessionUser } from './connection-rows.js'
import { isAtLeast } from './log-hub.js'
import type { MethodCounts } from './method-counts.js'
import type {
  ChannelRow,
  DeadLetterRow,
  ListQuery,
  LogQuery,
  LogRow,
  Page,
  ServiceRow,
  SessionRow,
} from './protocol/index.js'
import { page, type Subject, searchFor, windowOf } from './source.js'

/** Connections and the like that one row names. */
const NAMED = 20
/** Milliseconds that the engine has to say where channels stand. */
const ENGINE_TIMEOUT = 1000

/** The services, private ones as well. */
export function serviceRows({ broker, api }: Subject, counts: MethodCounts): readonly ServiceRow[] {
  return broker.services.flatMap(service => {
    if (service === undefined) return []
    const { id, name, definition, ref, server } = service
    const sampling = counts.sampling(id)
    const slow = slowOf(api[name])
    return [
      {
        id,
        name,
        type: definition.type ?? 'custom',
        private: service.private,
        path: ref.path,
        depth: ref.depth,
        handled: ref.handled,
        channels: channelsOf(server).length,
        ...(slow && { slow }),
        ...(counts.since !== undefined && { countedSince: counts.since }),
        ...(sampling !== undefined && { sampling }),
        methods: counts.rows(id),
      },
    ]
  })
}

/** How slow clients of a service fare, where it says so. */
function slowOf(api: unknown): ServiceRow['slow'] {
  const { connections, waiting, dropped } =
    (api as { readonly statistics?: Partial<ServiceRow['slow'] & object> } | undefined)?.statistics ?? {}
  const known = [connections, waiting, dropped].every(count => typeof count === 'number')
  return known ? { connections: connections!, waiting: waiting!, dropped: dropped! } : undefined
}

/** The channels and topics that have subscribers on this server; of those on the page also where they stand. */
export async function channelRows(subject: Subject, query: ListQuery): Promise<Page<ChannelRow>> {
  const all = subject.broker.services.flatMap(service =>
    service === undefined || (query.service !== undefined && service.name !== query.service)
      ? []
      : channelsOf(service.server).map(([name, subscribers]) => ({
          service: service.name,
          name,
          subscribers,
        })),
  )
  const fits = searchFor(query.search)
  const found = all.filter(({ name, service }) => fits(name, service))
  const window = page(found, query, row => row)
  const rows = await Promise.all(
    window.rows.map(async row => {
      const history = await positionOf(subject.api[row.service], row.name)
      return history === undefined ? row : { ...row, history }
    }),
  )
  return { ...window, rows }
}

interface Channelled {
  readonly onchannels?: (() => Readonly<Record<string, number>>) | undefined
  readonly topics: ReadonlyMap<string, { readonly subscribers: ReadonlySet<unknown> }>
}

function channelsOf({ onchannels, topics }: Channelled): readonly (readonly [string, number])[] {
  if (onchannels !== undefined) return Object.entries(onchannels())
  return [...topics].map(([name, { subscribers }]) => [name, subscribers.size] as const)
}

/** Where a channel with a history stands; undefined where there is none, or the engine does not say. */
async function positionOf(api: unknown, name: string): Promise<ChannelRow['history']> {
  const { history } = (api ?? {}) as {
    history?(channel: string, options: { limit: number; reverse: boolean }): Promise<unknown>
  }
  if (typeof history !== 'function') return undefined
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, ENGINE_TIMEOUT, undefined)
  })
  try {
    const read = (await Promise.race([history(name, { limit: 1, reverse: true }), late])) as
      | { readonly position?: { readonly epoch: string; readonly offset: number } }
      | undefined
    const { epoch, offset } = read?.position ?? {}
    return epoch === undefined || offset === undefined ? undefined : { epoch, offset }
  } catch {
    // It has no history, or cannot be asked just now: its subscribers are shown all the same.
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

/** The sessions in use. */
export function sessionRows(subject: Subject, query: ListQuery): Page<SessionRow> {
  const { liveSessions } = subject.broker
  const fits = searchFor(query.search)
  const found = [...liveSessions.values()].filter(session => {
    if (session.ref === undefined) return false
    return !query.search || fits(session.id, sessionUser(session))
  })
  return page(found, query, session => sessionRow(subject, session))
}

function sessionRow({ redact }: Subject, session: LiveSession): SessionRow {
  const user = sessionUser(session)
  return {
    id: session.id,
    path: session.ref.path,
    ...(user !== undefined && { user }),
    connections: [...session.connections].slice(0, NAMED).map(({ id }) => id),
    stored: session.stored,
    ...(session.expiry !== undefined && { expires: session.expiry }),
    data: redact(session.data),
  }
}

/** The dead letters that are remembered, newest first: those heard while watched have payloads. */
export function deadLetterRows(
  { broker }: Subject,
  heard: readonly DeadLetterRow[],
  query: ListQuery,
): Page<DeadLetterRow> & { readonly counts: Readonly<Record<string, number>> } {
  const { deadLetters } = broker.system
  const { recent } = deadLetters
  const before = recent.slice(0, Math.max(0, recent.length - heard.length))
  const all: DeadLetterRow[] = [
    ...before.map(({ to, from, type, reason }) => ({
      to,
      ...(from !== undefined && { from }),
      type,
      reason,
    })),
    ...heard,
  ]
  const fits = searchFor(query.search)
  const found = all.reverse().filter(({ to, from, type, reason }) => fits(to, from, type, reason))
  return { ...page(found, query, row => row), counts: { ...deadLetters.counts } }
}

/** The lines that were heard, newest first. */
export function logRows(heard: readonly LogRow[], query: LogQuery): Page<LogRow> {
  const { level = 'debug' } = query
  const fits = searchFor(query.search)
  const found = [...heard].reverse().filter(row => isAtLeast(row.level, level) && fits(row.message, row.name))
  return page(found, { ...windowOf(query) }, row => row)
}
