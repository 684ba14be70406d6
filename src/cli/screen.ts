import type { ActorRow, ConnectionRow, OverviewPoint, ServiceRow } from '../inspector/protocol/index.js'
import type { Screen, TreeLine } from './read-screen.js'

type Cell = string | number | undefined

/** The text that is printed: figures, tree and tables. */
export function screen({ hello, overview, tree, services, connections, deadLetters, log }: Screen): string {
  const parts = [
    heading(hello.pid, hello.node, hello.startedAt, hello.now),
    figures(overview.points.at(-1)),
    section(
      'ACTORS',
      table(['actor', 'kind', 'state', 'waiting', 'handled', '/s', 'restarts'], tree.map(treeCells)),
    ),
    section(
      'SERVICES',
      table(['service', 'method', 'calls', 'errors', 'p50 ms', 'p99 ms'], services.flatMap(methodCells)),
    ),
    section(
      `CONNECTIONS (${connections.total})`,
      table(
        ['id', 'state', 'transport', 'address', 'user', 'in', 'out', 'queued'],
        connections.rows.map(connectionCells),
      ),
    ),
    section(
      `DEAD LETTERS (${deadLetters.total})`,
      table(
        ['to', 'type', 'reason', 'from'],
        deadLetters.rows.map(({ to, type, reason, from }) => [to, type, reason, from]),
      ),
    ),
    section(
      'LOG',
      table(
        ['level', 'name', 'message'],
        log.rows.map(({ level, name, message }) => [level, name, message]),
      ),
    ),
  ]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

function heading(pid: number, node: string, startedAt: number, now: number): string {
  return `SocketStream, process ${pid}, Node ${node}, up for ${Math.max(0, Math.round((now - startedAt) / 1000))} s`
}

function figures(point: OverviewPoint | undefined): string {
  if (point === undefined) return ''
  const { connections, sessions, actors, depth, queued, lag, heap, crashes, deadLetters } = point
  const rate = (value: number | undefined): string => (value === undefined ? '–' : String(value))
  return [
    `connections ${connections}   sessions ${sessions}   actors ${actors}   waiting ${depth}   queued ${bytes(queued)}`,
    `in/s ${rate(point.messagesIn)}   out/s ${rate(point.messagesOut)}   lag ${lag} ms   heap ${bytes(heap)}   crashes ${crashes}   dead letters ${deadLetters}`,
  ].join('\n')
}

function treeCells({ level, row, more }: TreeLine): readonly Cell[] {
  const indent = '  '.repeat(level)
  if (row === undefined) return [`${indent}… ${more} more`]
  const { name, kind, state, depth, handled, rate, restarts }: ActorRow = row
  return [`${indent}${name}`, kind, state, depth, handled, rate, restarts]
}

function methodCells({ name, methods, handled }: ServiceRow): readonly (readonly Cell[])[] {
  if (methods.length === 0) return [[name, '', handled]]
  return methods
    .slice(0, 10)
    .map(method => [name, method.name, method.calls, method.errors, method.p50, method.p99])
}

function connectionCells(row: ConnectionRow): readonly Cell[] {
  return [row.id, row.state, row.transport, row.address, row.user, row.received, row.sent, bytes(row.queued)]
}

function section(title: string, body: string): string {
  return body === '' ? '' : `${title}\n${body}`
}

/** Columns as wide as what is in them; numbers to the right. */
function table(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return ''
  const lines = [names, ...rows.map(row => names.map((_name, index) => shown(row[index])))]
  const widths = names.map((_name, index) => Math.max(...lines.map(line => [...line[index]!].length)))
  const isNumber = names.map((_name, index) =>
    rows.every(row => typeof row[index] !== 'string' || row[index] === ''),
  )
  return lines
    .map(line =>
      line
        .map((text, index) => {
          const gap = ' '.repeat(widths[index]! - [...text].length)
          return isNumber[index] ? gap + text : text + gap
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const LONGEST = 60

/** A cell as text. What clients have sent is in some: control characters would do things to a terminal. */
function shown(cell: Cell): string {
  if (cell === undefined) return ''
  if (typeof cell === 'number') return String(Math.round(cell * 100) / 100)
  const plain = cell.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '·')
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST - 1)}…` : plain
}

function bytes(count: number): string {
  if (count < 1024) return `${count} B`
  return count < 1024 ** 2 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`
}
