import type { ComponentChildren } from 'preact'
import type { ActorRow, ActorSort } from '../protocol/index.js'
import { bytes, duration, short } from './format.js'
import type { TreeQuery } from './tree-model.js'

/** A column of the tree. */
interface Column {
  readonly sort?: ActorSort
  readonly title: string
  /** Of which columns go first where there is no room for all: see the style sheet. */
  readonly rank: 'always' | 'roomy' | 'wide'
  readonly number?: boolean
  readonly cell: (row: ActorRow) => ComponentChildren
  readonly loud?: (row: ActorRow) => string | undefined
}

/** All but the first, which is the tree itself. */
export const COLUMNS: readonly Column[] = [
  { sort: 'kind', title: 'Kind', rank: 'wide', cell: ({ kind }) => kind },
  { title: 'State', rank: 'roomy', cell: ({ waiting, state }) => (waiting ? 'starting' : state) },
  {
    sort: 'depth',
    title: 'Waiting',
    rank: 'always',
    number: true,
    cell: ({ depth }) => short(depth),
    loud: ({ depth }) => (depth > 0 ? 'hot' : undefined),
  },
  {
    sort: 'rate',
    title: 'Per s',
    rank: 'always',
    number: true,
    cell: ({ rate }) => (rate === undefined ? '–' : short(rate)),
  },
  {
    sort: 'p99',
    title: 'p99',
    rank: 'roomy',
    number: true,
    cell: ({ p99 }) => (p99 === undefined ? '–' : duration(p99)),
  },
  { sort: 'handled', title: 'Handled', rank: 'wide', number: true, cell: ({ handled }) => short(handled) },
  {
    sort: 'bytes',
    title: 'Memory',
    rank: 'roomy',
    number: true,
    cell: ({ bytes: known }) => (known === undefined ? '–' : bytes(known)),
  },
  {
    sort: 'restarts',
    title: 'Restarts',
    rank: 'always',
    number: true,
    cell: ({ restarts }) => restarts,
    loud: ({ restarts }) => (restarts > 0 ? 'bad-text' : undefined),
  },
]

/** The head of a column; sorts by it, where that can be. */
export function Head(props: {
  readonly sort?: ActorSort
  readonly title: string
  readonly rank?: string
  readonly number?: boolean
  readonly query: TreeQuery
  readonly onSort: (by: ActorSort) => void
}) {
  const { sort, title, rank = 'always', number = false, query, onSort } = props
  const isSorted = sort !== undefined && sort === query.sort
  return (
    <div
      role="columnheader"
      tabIndex={-1}
      class={`${rank}${number ? ' number' : ''}`}
      aria-sort={isSorted ? (query.descending ? 'descending' : 'ascending') : undefined}
    >
      {sort === undefined ? (
        title
      ) : (
        <button type="button" onClick={() => onSort(sort)}>
          {title}
          {isSorted && (query.descending ? ' ↓' : ' ↑')}
        </button>
      )}
    </div>
  )
}
