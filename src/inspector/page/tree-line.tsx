import { short } from './format.js'
import { COLUMNS } from './tree-columns.js'
import type { Line } from './tree-model.js'

/** Pixels of a line; all alike, or places could not be computed. */
export const LINE = 26

/** One actor of the tree, at its place. */
export function TreeLine(props: {
  readonly line: Line
  readonly flat: boolean
  readonly focused: boolean
  readonly chosen: boolean
  readonly onFocus: () => void
  readonly onToggle: () => void
  readonly onOpen: (path: string) => void
}) {
  const { line, flat, focused, chosen, onFocus, onToggle, onOpen } = props
  const { row, level, expanded, index } = line
  const branch = !flat && row !== undefined && row.children > 0
  const classes = `tree-line${chosen ? ' chosen' : ''}${row?.waiting ? ' waiting' : ''}`
  return (
    <div
      class={classes}
      role="row"
      aria-level={level}
      aria-posinset={line.position + 1}
      aria-setsize={line.siblings}
      aria-expanded={branch ? expanded : undefined}
      aria-selected={chosen}
      aria-rowindex={index + 1}
      data-index={index}
      data-path={row?.path}
      tabIndex={focused ? 0 : -1}
      style={{ transform: `translateY(${index * LINE}px)` }}
      onFocus={onFocus}
      onClick={() => row && onOpen(row.path)}
      onKeyDown={() => {}}
    >
      <div role="gridcell" class="name" style={{ paddingLeft: `${(level - 1) * 14}px` }} title={row?.path}>
        {branch ? (
          <button
            type="button"
            class="toggle"
            tabIndex={-1}
            aria-label={expanded ? 'Close' : 'Open'}
            onClick={event => {
              event.stopPropagation()
              onToggle()
            }}
          >
            {expanded ? '▾' : '▸'}
          </button>
        ) : (
          <span class="toggle" />
        )}
        <span class="label">{row === undefined ? '…' : flat ? row.path : row.name}</span>
        {branch && <span class="count">{short(row.children)}</span>}
      </div>
      {COLUMNS.map(({ title, rank, number, cell, loud }) => (
        <div
          key={title}
          role="gridcell"
          class={`${rank}${number ? ' number' : ''} ${(row && loud?.(row)) ?? ''}`}
          data-column={title}
          title={number ? undefined : row?.state}
        >
          {row && cell(row)}
        </div>
      ))}
    </div>
  )
}
