/** A connection, on whichever server it is. */
export interface ConnectionInfo {
  readonly id: string
  readonly user: string | undefined
  readonly transport: string
}

/** Which connections are asked for. */
export interface ConnectionFilter {
  /** Of this user only. */
  readonly user?: string
  /** Most of one server. Default 1,000. */
  readonly limit?: number
}

/** Figures of one server. */
export interface ServerStatistics {
  readonly connections: number
  /** Sessions in use. */
  readonly sessions: number
  /** Occupied channels. */
  readonly channels: number
  /** Bytes of memory that the process takes. */
  readonly memory: number
  /** Seconds since the process began. */
  readonly uptime: number
  /** Messages to other servers that were lost on the way out. */
  readonly dropped: number
}

/** Figures of one server, as far as its cluster does not know them. */
export type LocalStatistics = Omit<ServerStatistics, 'dropped'>

/** What came of several servers in time, and who was silent. */
export interface FromNodes<Part> {
  /** By the id of the server. */
  readonly nodes: ReadonlyMap<string, Part>
  /** Ids of those who did not answer in time, or failed. */
  readonly silent: readonly string[]
}

/** Channels by service, each with the number of its subscribers. */
export type ChannelCounts = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Asks several servers at once; who is late, or fails, is named. */
export async function fromNodes<Part>(
  ids: readonly string[],
  ask: (id: string) => Promise<unknown>,
): Promise<FromNodes<Part>> {
  const nodes = new Map<string, Part>()
  const silent: string[] = []
  await Promise.all(
    ids.map(async id => {
      try {
        nodes.set(id, (await ask(id)) as Part)
      } catch {
        silent.push(id)
      }
    }),
  )
  return { nodes, silent }
}
