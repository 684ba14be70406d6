import type { Position } from '../../engines/log.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { Channel } from './channel.js'
import { type Publication, publicationOf } from './entry.js'

/**
 * A state that says up to where it reaches.
 *
 * What comes after this position follows on it, each once; without it a publication that was made while the state
 * was read may be in the state and come again.
 *
 * @example
 * state: async (ctx, channel) => {
 *   const { items, epoch, offset } = await board(channel)
 *   return new StateAt(items, { epoch, offset })
 * }
 */
export class StateAt {
  readonly value: unknown
  readonly position: Position

  constructor(value: unknown, position: Position) {
    this.value = value
    this.position = position
  }
}

/** A publication and its place; 0 without a history. */
export interface Placed {
  readonly offset: number
  readonly publication: Publication
}

/** A state and what follows on it, up to the moment. */
export interface Snapshot {
  readonly value: unknown
  readonly position: Position
  readonly lines: readonly Placed[]
}

/** Whoever waits for a snapshot; told once, in the turn in which it holds. */
export interface SnapshotListener {
  /** False: what follows is too much to be sent, and the state is to be read again. */
  done(snapshot: Snapshot): boolean
  failed(error: unknown): void
}

/** How often the state is read when what was published meanwhile is too much, or its continuity was lost. */
const ATTEMPTS = 3

/**
 * Reads the state of a channel, and notes what is published meanwhile: the position is taken before.
 *
 * To be called when the channel is `ready`.
 *
 * @returns a function that gives it up
 */
export function readState(channel: Channel, load: () => unknown, listener: SnapshotListener): () => void {
  let stop = (): void => {}
  let over = false
  const attempt = (left: number): void => {
    const { run, rule } = channel
    const from = channel.position ?? { epoch: '', offset: 0 }
    let noted: Placed[] = []
    let most = false
    stop = channel.listen({
      publication(offset, publication) {
        most ||= noted.length >= rule.limit
        if (most) noted = []
        else noted.push({ offset, publication })
      },
    })
    const again = (): void => {
      if (left > 1) return attempt(left - 1)
      const what = `${channel.name} has more published than can wait for its state; try again`
      end(() => listener.failed(new SocketStreamError('OVERLOADED', what)))
    }
    const give = (value: unknown, position: Position, lines: readonly Placed[]): void => {
      if (!listener.done({ value, position, lines })) again()
    }
    const settle = (state: unknown): void => {
      stop()
      if (over) return
      if (most || channel.run !== run) return again()
      const position = { epoch: from.epoch, offset: channel.position?.offset ?? 0 }
      if (!(state instanceof StateAt) || from.epoch === '') {
        return give(state instanceof StateAt ? state.value : state, position, noted)
      }
      const { value, position: reached } = state
      if (reached.epoch !== from.epoch) return again()
      if (reached.offset >= from.offset) {
        const offset = Math.max(position.offset, reached.offset)
        const lines = noted.filter(line => line.offset > reached.offset)
        return give(value, { ...position, offset }, lines)
      }
      // It is older than this server's position: the history has what is between.
      channel.recover(reached, {
        failed: error => end(() => listener.failed(error)),
        done({ recovered, position, entries }) {
          if (over) return
          if (!recovered) return again()
          const lines = entries.map(entry => ({ offset: entry.offset, publication: publicationOf(entry) }))
          try {
            give(value, position, lines)
          } catch (error) {
            failed(error)
          }
        },
      })
    }
    const failed = (cause: unknown): void => {
      stop()
      const what = `The state of ${channel.name} cannot be read; try again`
      const error = hasCode(cause) ? cause : new SocketStreamError('INTERNAL', what, { cause })
      end(() => listener.failed(error))
    }
    new Promise(resolve => resolve(load())).then(settle).catch(failed)
  }
  const end = (tell: () => void): void => {
    if (over) return
    over = true
    tell()
  }
  attempt(ATTEMPTS)
  return () => {
    over = true
    stop()
  }
}
