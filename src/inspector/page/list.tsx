import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { Page } from '../protocol/index.js'
import { Figure } from './chart.js'
import { Empty } from './empty.js'
import { short } from './format.js'
import { useAsked, useCalm } from './hooks.js'
import type { Source } from './source.js'

/** Rows of one page of a list. */
const PER_PAGE = 100

interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  readonly number?: boolean
  /** What it is not wrapped at: `line` nowhere, `text` only between words. */
  readonly keep?: 'line' | 'text'
}

/** A searched list of rows, a page at a time. */
export function List<Row>(props: {
  readonly name: string
  readonly empty: string
  readonly columns: readonly Column<Row>[]
  readonly keyOf: (row: Row, index: number) => string
  readonly ask: (
    source: Source,
    query: { search?: string; offset: number; limit: number },
  ) => Promise<Page<Row>>
  readonly also?: string
  readonly children?: ComponentChildren
}) {
  const { name, empty, columns, keyOf, ask, also = '', children } = props
  const [typed, setTyped] = useState('')
  const search = useCalm(typed)
  const [offset, setOffset] = useState(0)
  const { value, error } = useAsked(`${name} ${search} ${offset} ${also}`, source =>
    ask(source, { ...(search !== '' && { search }), offset, limit: PER_PAGE }),
  )
  const total = value?.total ?? 0
  return (
    <div class="column">
      <div class="tools">
        <input
          type="search"
          aria-label={`Search ${name}`}
          placeholder="Search"
          value={typed}
          maxLength={200}
          onInput={event => {
            setTyped(event.currentTarget.value)
            setOffset(0)
          }}
        />
        <span class="pager">
          <button
            type="button"
            disabled={offset === 0}
            onClick={() => setOffset(offset - PER_PAGE)}
            aria-label="Before"
          >
            ‹
          </button>
          <span class="number" role="status">
            {total === 0 ? '0' : `${offset + 1}–${Math.min(offset + PER_PAGE, total)}`} of{' '}
            <Figure name={name} value={total} unit={short} />
          </span>
          <button
            type="button"
            disabled={offset + PER_PAGE >= total}
            onClick={() => setOffset(offset + PER_PAGE)}
            aria-label="Next"
          >
            ›
          </button>
        </span>
        {children}
      </div>
      {error !== undefined && <p class="warning">{error}</p>}
      {value === undefined && error === undefined && <Empty>Loading …</Empty>}
      {value?.rows.length === 0 && <Empty>{search === '' ? empty : 'Nothing fits.'}</Empty>}
      {value !== undefined && value.rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <div class="table-box tall" tabIndex={0}>
          <table aria-label={name}>
            <thead>
              <tr>
                {columns.map(({ title, number }) => (
                  <th key={title} scope="col" class={number ? 'number' : undefined}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {value.rows.map((row, index) => (
                <tr key={keyOf(row, index)}>
                  {columns.map(({ title, cell, number, keep }) => (
                    <td key={title} class={number ? 'number' : keep}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  )
}
