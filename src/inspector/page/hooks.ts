import { createContext } from 'preact'
import { useContext, useEffect, useReducer, useRef, useState } from 'preact/hooks'
import type { Source } from './source.js'

/** The source that the whole page shows. */
export const SourceContext = createContext<Source | undefined>(undefined)

/** The source, without hearing of its changes. */
export function useSource(): Source {
  return useContext(SourceContext)!
}

/** The source; renders again whenever it has something new. */
export function useLiveSource(): Source {
  const source = useSource()
  const [, render] = useReducer((count: number) => count + 1, 0)
  useEffect(() => source.subscribe(() => render(undefined as never)), [source])
  return source
}

/** What was asked for: the last answer, and what was wrong since. */
export interface Asked<Value> {
  readonly value: Value | undefined
  readonly error: string | undefined
}

/**
 * Asks now, and again each `every` milliseconds while the page is seen and the server there.
 *
 * One question at a time: a slow server is not asked more often for it.
 *
 * @param key what is asked for: another one forgets the answer
 */
export function useAsked<Value>(
  key: string,
  ask: (source: Source) => Promise<Value>,
  every = 1000,
): Asked<Value> {
  const source = useSource()
  const [asked, setAsked] = useState<Asked<Value> & { readonly key: string }>()
  const latest = useRef(ask)
  latest.current = ask
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let over = false
    const turn = async (): Promise<void> => {
      if (!document.hidden && source.status !== 'lost' && source.status !== 'connecting') {
        try {
          const value = await latest.current(source)
          if (!over) setAsked({ key, value, error: undefined })
        } catch (error) {
          const lost = (error as { code?: string }).code === 'CONNECTION_LOST'
          if (!over && !lost) setAsked(before => ({ key, value: before?.value, error: messageOf(error) }))
        }
      }
      if (!over && source.file === undefined) timer = setTimeout(turn, every)
    }
    void turn()
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [source, key, every])
  return asked?.key === key ? asked : { value: undefined, error: undefined }
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What was typed, trimmed, once the typing pauses: not each letter is worth a search. */
export function useCalm(typed: string): string {
  const [calm, setCalm] = useState(typed)
  useEffect(() => {
    const timer = setTimeout(() => setCalm(typed.trim()), 150)
    return () => clearTimeout(timer)
  }, [typed])
  return calm
}
