import { useEffect, useReducer, useRef } from 'preact/hooks'
import type { TraceEvent, TraceOptions } from '../protocol/index.js'
import { messageOf, useLiveSource } from './hooks.js'

/** Events that are kept; the oldest go. */
const KEPT = 10_000

/** What was heard of a trace so far. */
export interface Heard {
  readonly events: readonly TraceEvent[]
  readonly actors: readonly string[]
  readonly dropped: number
  readonly sampling: number
  readonly ended: boolean
  readonly error: string | undefined
}

const NOTHING: Heard = { events: [], actors: [], dropped: 0, sampling: 1, ended: false, error: undefined }

/**
 * Listens to the messages of a connection or of actors as long as it is called; renders as they come.
 *
 * After a reconnect it listens on: what came before stays, unless the server is another one.
 *
 * @param options what to listen to; undefined: nothing
 */
export function useTrace(options: TraceOptions | undefined): Heard {
  const source = useLiveSource()
  const [, render] = useReducer((count: number) => count + 1, 0)
  const heard = useRef(NOTHING)
  const key = JSON.stringify([options, source.hello?.incarnation])
  const before = useRef(key)
  if (before.current !== key) {
    before.current = key
    heard.current = NOTHING
  }
  const ready = source.status === 'connected' || source.status === 'offline'
  useEffect(() => {
    if (options === undefined || !ready) return
    let over = false
    let end = (): void => {}
    const set = (more: Partial<Heard>): void => {
      heard.current = { ...heard.current, ...more }
      render(undefined as never)
    }
    const listen = async (): Promise<void> => {
      try {
        const items = source.api.trace(options)[Symbol.asyncIterator]()
        end = () => void items.return?.()
        for (;;) {
          const { value, done } = await items.next()
          if (over || done || value === undefined) return
          const { events, dropped } = heard.current
          const all = [...events, ...value.events]
          const lost = Math.max(0, all.length - KEPT)
          set({
            events: lost > 0 ? all.slice(lost) : all,
            actors: value.actors,
            dropped: dropped + value.dropped + lost,
            sampling: value.sampling,
            ended: value.ended === true,
            error: undefined,
          })
        }
      } catch (error) {
        const lost = (error as { code?: string }).code === 'CONNECTION_LOST'
        if (!over && !lost) set({ error: messageOf(error) })
      }
    }
    void listen()
    return () => {
      over = true
      end()
    }
  }, [key, ready, source.epoch])
  return heard.current
}
