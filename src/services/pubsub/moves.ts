import type { Connection } from '../service.js'
import type { Channels } from './channels.js'
import { readFilter } from './filters.js'
import type { MemberPlace, Members } from './members.js'
import type { PlainSubscribers } from './plain.js'

/** A subscription as it is sent: a filter is its JSON. */
type SentPlace = [
  name: string,
  run: number,
  epoch: string,
  offset: number,
  told: boolean,
  filter: string | null,
  skipped: boolean,
]

/** What goes along when a connection goes on at another server. */
interface Moved {
  readonly places: readonly SentPlace[]
  /** Channels that it hears by their topics. */
  readonly plain: readonly string[]
  /** Channels that the server has subscribed it alone to. */
  readonly alone: readonly string[]
}

/** Takes the subscriptions of a connection along to another server. */
export class Moves {
  readonly #channels: Channels
  readonly #members: Members
  readonly #plain: PlainSubscribers

  constructor(channels: Channels, members: Members, plain: PlainSubscribers) {
    this.#channels = channels
    this.#members = members
    this.#plain = plain
  }

  /** What `arrive` needs of a connection at the other server. */
  leaving(connection: Connection): Moved {
    const places = this.#members
      .places(connection)
      .map(
        ({ name, run, position: { epoch, offset }, told, filter, skipped }): SentPlace => [
          ...([name, run, epoch, offset, told] as const),
          filter?.key ?? null,
          skipped,
        ],
      )
    return {
      places,
      plain: this.#plain.of(connection),
      alone: this.#channels.subscribedAlone(connection),
    }
  }

  /** Goes on with it: resolves when all channels are ready. What cannot go on its client is told to ask for again. */
  async arrive(connection: Connection, state: unknown): Promise<void> {
    const { places, plain, alone } = state as Moved
    const whose = { connection: connection.id }
    await Promise.all([
      this.#members.arrive(connection, places.map(placeOf)),
      this.#plain.arrive(connection, plain),
      ...alone.map(name => this.#channels.subscribe(whose, name)),
    ])
  }
}

function placeOf([name, run, epoch, offset, told, filter, skipped]: SentPlace): MemberPlace {
  const position = { epoch, offset }
  return {
    name,
    run,
    position,
    told,
    filter: filter === null ? undefined : readFilter(JSON.parse(filter)),
    skipped,
  }
}
