import { useMemo } from 'preact/hooks'
import type { Statechart } from '../protocol/index.js'
import { type Drawing, layout } from './chart-layout.js'
import { clock } from './format.js'

/** A machine's states, drawn: the active ones lit, the last transition marked. */
export function StatechartView({ chart }: { readonly chart: Statechart }) {
  // The definition does not change while a machine lives; what is active does.
  const shape = JSON.stringify(chart.root)
  const drawing = useMemo(() => layout(chart), [shape])
  const active = new Set(chart.active)
  const { last } = chart
  const leaves = chart.active.filter(id => !chart.active.some(other => other.startsWith(`${id}.`)))
  return (
    <figure class="statechart">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class="scroll" tabIndex={0}>
        <svg
          width={drawing.width}
          height={drawing.height}
          viewBox={`0 0 ${drawing.width} ${drawing.height}`}
          role="img"
          aria-label={`Statechart of ${chart.id}; active: ${leaves.join(', ')}`}
        >
          <defs>
            <marker
              id="tip"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path d="M0 0L8 4L0 8z" class="tip" />
            </marker>
          </defs>
          <Boxes drawing={drawing} active={active} />
          <Edges drawing={drawing} last={last} />
        </svg>
      </div>
      <figcaption class="one-line">
        {chart.status === 'active' ? leaves.join(', ') : chart.status}
        {last !== undefined && (
          <>
            {' '}
            since <time>{clock(last.at)}</time>, by <strong>{last.event}</strong>
          </>
        )}
      </figcaption>
    </figure>
  )
}

function Boxes({ drawing, active }: { readonly drawing: Drawing; readonly active: ReadonlySet<string> }) {
  return (
    <>
      {drawing.boxes.map(({ node, x, y, width, height, notes, depth }) => (
        <g
          key={node.id}
          class={`state${active.has(node.id) ? ' active' : ''}${node.states.length === 0 ? ' leaf' : ''}`}
          data-state={node.id}
        >
          <rect
            x={x}
            y={y}
            width={width}
            height={height}
            rx={node.type === 'final' ? 12 : 5}
            stroke-dasharray={node.type === 'history' ? '3 3' : undefined}
            class={depth % 2 === 0 ? 'even' : 'odd'}
          />
          <text x={x + 8} y={y + 16} class="state-name">
            {node.key}
            {node.type === 'final' && ' ◉'}
            {node.type === 'parallel' && ' ∥'}
          </text>
          {notes.map((note, index) => (
            <text key={note} x={x + 8} y={y + 31 + index * 15} class="state-note">
              {note}
            </text>
          ))}
          {node.description !== undefined && <title>{node.description}</title>}
        </g>
      ))}
      {drawing.boxes.map(({ node }) => {
        const initial = drawing.boxes.find(box => box.node.id === node.initial)
        return (
          initial && <circle key={node.id} class="initial" cx={initial.x - 5} cy={initial.y + 12} r="3.5" />
        )
      })}
    </>
  )
}

function Edges({ drawing, last }: { readonly drawing: Drawing; readonly last: Statechart['last'] }) {
  const within = (ids: readonly string[], id: string): boolean => ids.includes(id)
  return (
    <>
      {drawing.edges.map(({ from, to, label, path, x, y }, index) => {
        const isLast =
          last !== undefined &&
          within(last.from, from) &&
          within(last.to, to) &&
          (label === last.event || label.startsWith(`${last.event} [`))
        return (
          <g
            key={`${from} ${to} ${label} ${index}`}
            class={`edge${isLast ? ' last' : ''}`}
            data-event={label}
          >
            {path !== '' && <path d={path} marker-end="url(#tip)" />}
            <text x={x} y={y} text-anchor="middle">
              {label}
            </text>
          </g>
        )
      })}
    </>
  )
}
