import type {
  ActorRow,
  ConnectionRow,
  DeadLetterRow,
  Hello,
  LogRow,
  Overview,
  Page,
  ServiceRow,
} from '../inspector/protocol/index.js'

/** What is printed. */
export interface Screen {
  readonly hello: Hello
  readonly overview: Overview
  readonly tree: readonly TreeLine[]
  readonly services: readonly ServiceRow[]
  readonly connections: Page<ConnectionRow>
  readonly deadLetters: Page<DeadLetterRow>
  readonly log: Page<LogRow>
}

/** A line of the tree: an actor, or how many more there are. */
export interface TreeLine {
  readonly level: number
  readonly row?: ActorRow
  readonly more?: number
}

/** What is asked of the inspector, as its client has it. */
interface Api {
  overview(): Promise<Overview>
  actors(query: object): Promise<Page<ActorRow>>
  services(): Promise<readonly ServiceRow[]>
  connections(query: object): Promise<Page<ConnectionRow>>
  deadLetters(query: object): Promise<Page<DeadLetterRow>>
  log(query: object): Promise<Page<LogRow>>
}

/** Children of one actor that are shown; levels of the tree. */
const CHILDREN = 8
const LEVELS = 4
const ROWS = 10

/** Asks for all that is printed: a bounded part, however much there is. */
export async function readScreen(api: Api, hello: Hello): Promise<Screen> {
  const [overview, tree, services, connections, deadLetters, log] = await Promise.all([
    api.overview(),
    readTree(api, '/', 0),
    api.services(),
    api.connections({ limit: ROWS }),
    api.deadLetters({ limit: 5 }),
    api.log({ limit: 5, level: 'info' }),
  ])
  return { hello, overview, tree, services, connections, deadLetters, log }
}

async function readTree(api: Api, parent: string, level: number): Promise<TreeLine[]> {
  let page: Page<ActorRow>
  try {
    page = await api.actors({ parent, limit: CHILDREN })
  } catch {
    // It has stopped since its line was read.
    return []
  }
  const lines: TreeLine[] = []
  for (const row of page.rows) {
    lines.push({ level, row })
    if (row.children > 0 && level + 1 < LEVELS) lines.push(...(await readTree(api, row.path, level + 1)))
  }
  const more = page.total - page.rows.length
  if (more > 0) lines.push({ level, more })
  return lines
}
