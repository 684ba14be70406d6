import { useEffect, useRef, useState } from 'preact/hooks'
import type { TraceEvent } from '../protocol/index.js'
import { Empty } from './empty.js'
import { clock } from './format.js'
import { columnAt, HEADING, Message, partners, ROW, widthOf } from './sequence-drawing.js'
import type { Heard } from './trace.js'

/** Only the messages in sight are drawn. */
export function Diagram(props: {
  readonly shown: Heard
  readonly events: readonly TraceEvent[]
  readonly picked: TraceEvent | undefined
  readonly onPick: (event: TraceEvent) => void
  readonly follow: boolean
}) {
  const { shown, events, picked, onPick, follow } = props
  const box = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const atEnd = useRef(true)
  const columns = partners(shown.actors, events)
  const width = widthOf(columns.length)
  const height = HEADING + ROW * (events.length + 1)
  const { length } = events
  useEffect(() => {
    if (follow && atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [length, follow])
  const first = Math.max(0, Math.floor((top - HEADING) / ROW) - 10)
  const visible = events.slice(first, first + 80)
  const pick = (step: number): void => {
    const at = picked === undefined ? (step > 0 ? -1 : length) : events.indexOf(picked)
    const next = events[Math.max(0, Math.min(length - 1, at + step))]
    if (next !== undefined) onPick(next)
  }
  return (
    <div
      class="sequence"
      role="listbox"
      aria-label="Messages"
      tabIndex={0}
      ref={box}
      onScroll={event => {
        const { scrollTop, clientHeight, scrollHeight } = event.currentTarget
        atEnd.current = scrollTop + clientHeight >= scrollHeight - ROW * 2
        setTop(scrollTop)
      }}
      onKeyDown={event => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
        if (step === undefined) return
        event.preventDefault()
        pick(step)
      }}
    >
      {length === 0 && (
        <Empty>{shown.ended ? 'It has ended.' : 'Nothing yet: what it says from now on appears here.'}</Empty>
      )}
      <svg width={width} height={height} role="presentation">
        {columns.map((name, index) => (
          <line key={name} class="life" x1={columnAt(index)} x2={columnAt(index)} y1={HEADING} y2={height} />
        ))}
        {visible.map((event, offset) => (
          <g
            key={first + offset}
            role="option"
            aria-selected={event === picked}
            aria-label={`${event.label} to ${event.to}`}
            onClick={() => onPick(event)}
            onKeyDown={() => {}}
          >
            <rect class="hit" x="0" y={HEADING + (first + offset) * ROW} width={width} height={ROW} />
            <Message
              event={event}
              index={first + offset}
              columns={columns}
              time={clock(event.at)}
              chosen={event === picked}
            />
          </g>
        ))}
        <g transform={`translate(0 ${top})`} class="heads">
          <rect x="0" y="0" width={width} height={HEADING - 4} />
          <line x1="0" x2={width} y1={HEADING - 4} y2={HEADING - 4} />
          {columns.map((name, index) => (
            <text key={name} x={columnAt(index)} y="17" text-anchor="middle">
              {shortName(name)}
              <title>{name}</title>
            </text>
          ))}
        </g>
      </svg>
    </div>
  )
}

/** The end of a name, which tells it from others. */
function shortName(name: string): string {
  return name.length > 20 ? `…${name.slice(-19)}` : name
}
