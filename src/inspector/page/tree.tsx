import { useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks'
import type { ActorSort } from '../protocol/index.js'
import { Empty } from './empty.js'
import { whole } from './format.js'
import { messageOf, useSource } from './hooks.js'
import { linkTo } from './router.js'
import { COLUMNS, Head } from './tree-columns.js'
import { LINE, TreeLine } from './tree-line.js'
import { type Line, TreeModel, type TreeQuery } from './tree-model.js'

/** Lines above and below what is in sight. */
const MORE = 12

/** The actors as a tree of any size: only the lines in sight exist. */
export function Tree(props: {
  readonly query: TreeQuery
  readonly chosen: string | undefined
  readonly onSort: (by: ActorSort) => void
}) {
  const { query, chosen, onSort } = props
  const source = useSource()
  const key = JSON.stringify(query)
  const model = useMemo(() => new TreeModel(query, asked => source.api.actors(asked)), [source, key])
  const current = useRef(model)
  current.current = model
  const [, render] = useReducer((count: number) => count + 1, 0)
  const [error, setError] = useState<string>()
  const [focus, setFocus] = useState(0)
  const box = useRef<HTMLDivElement>(null)
  const [sight, setSight] = useState({ from: 0, to: 40 })
  const view = useRef(sight)
  const loading = useRef(false)
  const again = useRef(false)

  const load = async (): Promise<void> => {
    // One at a time; what was scrolled to meanwhile comes after it.
    if (loading.current) {
      again.current = true
      return
    }
    loading.current = true
    try {
      do {
        again.current = false
        await current.current.load(view.current.from, view.current.to)
      } while (again.current)
      setError(undefined)
    } catch (error) {
      setError(messageOf(error))
    } finally {
      loading.current = false
      render(undefined as never)
    }
  }

  useEffect(() => {
    void load()
    if (source.file !== undefined) return
    const timer = setInterval(() => {
      if (!document.hidden && source.status === 'connected') void load()
    }, 1000)
    return () => clearInterval(timer)
  }, [model])

  const look = (): void => {
    const { scrollTop, clientHeight } = box.current!
    const from = Math.max(0, Math.floor(scrollTop / LINE) - MORE)
    const to = Math.ceil((scrollTop + clientHeight) / LINE) + MORE
    if (from === view.current.from && to === view.current.to) return
    view.current = { from, to }
    setSight(view.current)
    void load()
  }

  const moveTo = (index: number): void => {
    const to = Math.max(0, Math.min(model.length - 1, index))
    setFocus(to)
    const element = box.current!
    const head = LINE
    const top = to * LINE
    if (top < element.scrollTop) element.scrollTop = top
    else if (top + LINE + head > element.scrollTop + element.clientHeight)
      element.scrollTop = top + LINE + head - element.clientHeight
    requestAnimationFrame(() => element.querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus())
  }

  const toggle = async (line: Line): Promise<void> => {
    if (line.expanded) model.collapse(line.index)
    else await model.expand(line.index).catch(error => setError(messageOf(error)))
    render(undefined as never)
  }

  const keyed = (event: KeyboardEvent): void => {
    if (focus >= model.length || event.altKey || event.ctrlKey || event.metaKey) return
    const line = model.line(focus)
    const page = Math.max(1, Math.floor(box.current!.clientHeight / LINE) - 2)
    const moves: Readonly<Record<string, () => unknown>> = {
      ArrowDown: () => moveTo(focus + 1),
      ArrowUp: () => moveTo(focus - 1),
      PageDown: () => moveTo(focus + page),
      PageUp: () => moveTo(focus - page),
      Home: () => moveTo(0),
      End: () => moveTo(model.length - 1),
      ArrowRight: () => (line.expanded ? moveTo(focus + 1) : toggle(line)),
      ArrowLeft: () =>
        line.expanded ? toggle(line) : model.parentOf(focus) >= 0 && moveTo(model.parentOf(focus)),
      Enter: () => line.row && open(line.row.path),
      ' ': () => line.row && open(line.row.path),
    }
    const move = moves[event.key]
    if (move === undefined || !(event.target as HTMLElement).matches('[role="row"]')) return
    event.preventDefault()
    move()
  }
  const open = (path: string): void => {
    location.hash = linkTo('actors', path)
  }

  const { length } = model
  const focused = Math.min(focus, Math.max(0, length - 1))
  const lines: Line[] = []
  for (let index = sight.from; index < Math.min(sight.to, length); index++) lines.push(model.line(index))
  // The focused line stays, or scrolling would take the focus away.
  if (length > 0 && (focused < sight.from || focused >= Math.min(sight.to, length)))
    lines.push(model.line(focused))
  return (
    <>
      <div
        class="tree"
        role="treegrid"
        aria-label="Actors"
        aria-rowcount={length}
        tabIndex={-1}
        ref={box}
        onScroll={look}
        onKeyDown={keyed}
      >
        <div class="tree-line tree-head" role="row">
          <Head sort="name" title="Actor" query={query} onSort={onSort} />
          {COLUMNS.map(column => (
            <Head key={column.title} {...column} query={query} onSort={onSort} />
          ))}
        </div>
        <div role="presentation" style={{ height: `${length * LINE}px`, position: 'relative' }}>
          {lines.map(line => (
            <TreeLine
              key={line.index}
              line={line}
              flat={model.flat}
              focused={line.index === focused}
              chosen={line.row !== undefined && line.row.path === chosen}
              onFocus={() => setFocus(line.index)}
              onToggle={() => toggle(line)}
              onOpen={open}
            />
          ))}
        </div>
        {length === 0 && <Empty>{model.loaded ? 'No actor fits.' : (error ?? 'Loading the actors …')}</Empty>}
      </div>
      <p class="note one-line" role="status">
        {error === undefined ? `${whole(length)} lines` : `Not up to date: ${error}`}
      </p>
    </>
  )
}
