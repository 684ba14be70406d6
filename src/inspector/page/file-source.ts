import type {
  ActorDetail,
  ActorPage,
  ActorQuery,
  ActorRow,
  Hello,
  Overview,
  SnapshotFile,
  TraceFile,
} from '../protocol/index.js'
import { PROTOCOL_VERSION } from '../protocol/index.js'
import type { Api, FileFacts, Source } from './source.js'

const NO_PAGE = { rows: [], total: 0, offset: 0 }

/**
 * Reads a file that the page has made, a trace or a snapshot.
 *
 * @throws Error that says what is wrong with it
 */
export function readFile(name: string, text: string): FileSource {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    throw new Error(`${name} is not JSON`)
  }
  const { kind, protocol, hello } = (content ?? {}) as Partial<TraceFile | SnapshotFile>
  if ((kind !== 'socketstream-trace' && kind !== 'socketstream-snapshot') || typeof hello !== 'object')
    throw new Error(`${name} is neither a trace nor a snapshot of an inspector`)
  if (protocol !== PROTOCOL_VERSION)
    throw new Error(`${name} has version ${protocol}; this page reads version ${PROTOCOL_VERSION}`)
  const file = content as TraceFile | SnapshotFile
  if (file.kind === 'socketstream-trace' && !(Array.isArray(file.events) && Array.isArray(file.actors)))
    throw new Error(`${name} is a trace without events`)
  if (file.kind === 'socketstream-snapshot' && !Array.isArray(file.actors?.rows))
    throw new Error(`${name} is a snapshot without actors`)
  return new FileSource(name, file)
}

/** A file in the place of a server: the page works from it alone. */
export class FileSource implements Source {
  readonly status = 'offline'
  readonly epoch = 0
  readonly hello: Hello
  readonly overview: Overview | undefined
  readonly item = undefined
  readonly file: FileFacts
  readonly api: Api
  readonly trace: TraceFile | undefined

  constructor(name: string, content: TraceFile | SnapshotFile) {
    const isTrace = content.kind === 'socketstream-trace'
    // Nothing can be done to a file.
    this.hello = { ...content.hello, readOnly: true }
    this.trace = isTrace ? content : undefined
    this.overview = isTrace ? undefined : content.overview
    const takenAt = isTrace ? content.recordedAt : content.takenAt
    this.file = { name, kind: isTrace ? 'trace' : 'snapshot', takenAt }
    this.api = isTrace ? traceApi(this.hello, content) : snapshotApi(this.hello, content)
  }

  subscribe(): () => void {
    return () => {}
  }

  close(): void {}
}

function traceApi(hello: Hello, file: TraceFile): Api {
  const details = new Map((file.details ?? []).map(detail => [detail.path, detail]))
  const rows = [...details.values()]
  return {
    ...nothing(hello),
    actors: async query => pageOf(rows, { ...query, deep: true }),
    actor: async path => details.get(path) ?? missing(path),
    async *trace() {
      yield { events: file.events, dropped: file.dropped, sampling: 1, actors: file.actors, ended: true }
    },
  }
}

function snapshotApi(hello: Hello, file: SnapshotFile): Api {
  const { rows } = file.actors
  return {
    ...nothing(hello),
    overview: async () => file.overview,
    actors: async query => pageOf(rows, query),
    actor: async path => detailOf(rows, path, file),
    services: async () => file.services,
    channels: async ({ search }) => searched(file.channels.rows, search),
    connections: async ({ search }) => searched(file.connections.rows, search),
    sessions: async ({ search }) => searched(file.sessions.rows, search),
    deadLetters: async ({ search }) => ({ ...searched(file.deadLetters.rows, search), counts: {} }),
    log: async ({ search }) => searched(file.log.rows, search),
    snapshot: async () => file,
  }
}

function nothing(hello: Hello): Api {
  return {
    hello: async () => hello,
    overview: () => missing('an overview'),
    actors: async () => ({ ...NO_PAGE, sampledAt: 0, every: 0 }),
    actor: missing,
    services: async () => [],
    channels: async () => NO_PAGE,
    connections: async () => NO_PAGE,
    sessions: async () => NO_PAGE,
    deadLetters: async () => ({ ...NO_PAGE, counts: {} }),
    log: async () => NO_PAGE,
    snapshot: () => missing('a snapshot'),
    async *watch() {},
    async *trace() {},
    act: async () => {
      throw new Error('this is a file: nothing can be done to it')
    },
  }
}

async function missing(what: string): Promise<never> {
  throw new Error(`${what} is not in this file`)
}

function searched<Row>(rows: readonly Row[], search = '') {
  const found = rows.filter(row => JSON.stringify(row).toLowerCase().includes(search.toLowerCase()))
  return { rows: found, total: found.length, offset: 0 }
}

function parentOf(path: string): string | undefined {
  return path === '/' ? undefined : path.slice(0, path.lastIndexOf('/')) || '/'
}

function pageOf(rows: readonly ActorRow[], query: ActorQuery): ActorPage {
  const { parent = '/', deep, search = '', kind, minDepth = 0, sort = 'began', descending = false } = query
  const { offset = 0, limit = 100 } = query
  const wanted = search.toLowerCase()
  const found = rows.filter(
    row =>
      (deep || search ? row.path !== '/' : parentOf(row.path) === parent) &&
      (kind === undefined || row.kind === kind) &&
      row.depth >= minDepth &&
      `${row.path} ${row.user ?? ''} ${row.address ?? ''}`.toLowerCase().includes(wanted),
  )
  const sign = descending ? -1 : 1
  if (sort !== 'began') {
    const key = (row: ActorRow): number | string => row[sort] ?? 0
    found.sort((a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0))
  } else if (descending) found.reverse()
  return { rows: found.slice(offset, offset + limit), total: found.length, offset, sampledAt: 0, every: 0 }
}

async function detailOf(rows: readonly ActorRow[], path: string, file: SnapshotFile): Promise<ActorDetail> {
  const row = rows.find(row => row.path === path) ?? (await missing(path))
  const connection = file.connections.rows.find(connection => connection.path === path)
  const parent = parentOf(path)
  return {
    ...row,
    ...(parent && { parent }),
    watchers: 0,
    subscribers: 0,
    childPaths: rows.filter(child => parentOf(child.path) === path).map(child => child.path),
    ...(connection && { connection }),
    events: [],
    lifecycle: [],
    capacity: 0,
    actions: [],
  }
}
