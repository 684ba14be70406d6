import type { TraceEvent } from '../protocol/index.js'
import { duration } from './format.js'

/** Pixels of one message and of one actor. */
export const ROW = 24
export const COLUMN = 168
export const HEADING = 30
/** Room on the left for the time. */
const LEFT = 84
/** Room on both sides of the outer columns, for half a name. */
const SIDE = 56

/** The actors that have a part in these messages, in the order of the columns. */
export function partners(actors: readonly string[], events: readonly TraceEvent[]): readonly string[] {
  const part = new Set(events.flatMap(({ from, to }) => (from === undefined ? [to] : [from, to])))
  return [...actors.filter(actor => part.has(actor)), ...[...part].filter(actor => !actors.includes(actor))]
}

/** Where an actor's line is. */
export function columnAt(index: number): number {
  return LEFT + SIDE + COLUMN * index
}

/** How wide so many columns are. */
export function widthOf(columns: number): number {
  return columnAt(Math.max(0, columns - 1)) + SIDE + 24
}

/** A message of a sequence diagram: a line from who told it to who handled it. */
export function Message(props: {
  readonly event: TraceEvent
  readonly index: number
  readonly columns: readonly string[]
  readonly time: string
  readonly chosen?: boolean
}) {
  const { event, index, columns, time, chosen = false } = props
  const to = columnAt(columns.indexOf(event.to))
  const known = event.from !== undefined && event.from !== event.to
  // Of whom nothing is known, and what an actor tells itself, comes from beside it.
  const from = known ? columnAt(columns.indexOf(event.from!)) : to - 34
  const y = HEADING + index * ROW + ROW / 2 + 4
  const tip = to > from ? -6 : 6
  const classes = `message${event.failed ? ' failed' : ''}${chosen ? ' chosen' : ''}${event.took >= 10 ? ' slow' : ''}`
  const text = event.label.length > 34 ? `${event.label.slice(0, 33)}…` : event.label
  const adjacent = Math.abs(to - from) >= COLUMN
  return (
    <g class={classes} data-label={event.label}>
      <text x={4} y={y} class="time">
        {time}
      </text>
      <line x1={from} y1={y} x2={to + tip} y2={y} />
      <path d={`M${to} ${y}l${tip} -4v8z`} />
      <text
        x={adjacent ? (from + to) / 2 : to + 8}
        y={adjacent ? y - 4 : y + 4}
        text-anchor={adjacent ? 'middle' : 'start'}
      >
        {text}
        {event.call !== undefined && ` #${event.call}`}
        {event.took >= 1 && ` ${duration(event.took)}`}
      </text>
    </g>
  )
}

/** A sequence diagram as a file that stands for itself. */
export function svgOf(
  actors: readonly string[],
  events: readonly TraceEvent[],
  time: (at: number) => string,
): string {
  const columns = partners(actors, events)
  const [width, height] = [widthOf(columns.length), HEADING + ROW * (events.length + 1)]
  const heads = columns.map(
    (name, index) =>
      `<text x="${columnAt(index)}" y="18" text-anchor="middle" font-weight="600">${escaped(name.slice(-24))}</text>` +
      `<line x1="${columnAt(index)}" y1="24" x2="${columnAt(index)}" y2="${height}" stroke="#bbb"/>`,
  )
  const lines = events.map((event, index) => {
    const to = columnAt(columns.indexOf(event.to))
    const known = event.from !== undefined && event.from !== event.to
    const from = known ? columnAt(columns.indexOf(event.from!)) : to - 34
    const y = HEADING + index * ROW + ROW / 2 + 4
    const tip = to > from ? -6 : 6
    const colour = event.failed ? '#b3261e' : '#333'
    return (
      `<text x="4" y="${y}" fill="#666">${time(event.at)}</text>` +
      `<line x1="${from}" y1="${y}" x2="${to + tip}" y2="${y}" stroke="${colour}"/>` +
      `<path d="M${to} ${y}l${tip} -4v8z" fill="${colour}"/>` +
      `<text x="${(from + to) / 2}" y="${y - 4}" text-anchor="middle" fill="${colour}">${escaped(event.label)}</text>`
    )
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">` +
    `<rect width="100%" height="100%" fill="#fff"/>${heads.join('')}${lines.join('')}</svg>`
  )
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, found => `&#${found.charCodeAt(0)};`)
}
