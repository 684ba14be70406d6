import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type {
  Action,
  ChannelRow,
  ConnectionRow,
  DeadLetterRow,
  Json,
  LogLevelName,
  LogRow,
  Page,
  SessionRow,
} from '../protocol.js'
import { Figure } from './chart.js'
import { ActionButton } from './confirm.js'
import { parsed } from './detail.js'
import { Empty } from './empty.js'
import { bytes, clock, duration, short } from './format.js'
import { useAsked, useCalm } from './hooks.js'
import { JsonView } from './json-view.js'
import { linkTo } from './router.js'
import type { Source } from './source.js'

/** Rows of one page of a list. */
const PER_PAGE = 100

interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  readonly number?: boolean
}

/** A searched list of rows, a page at a time. */
function List<Row>(props: {
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
                {columns.map(({ title }) => (
                  <th key={title} scope="col">
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {value.rows.map((row, index) => (
                <tr key={keyOf(row, index)}>
                  {columns.map(({ title, cell, number }) => (
                    <td key={title} class={number ? 'number' : undefined}>
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

/** A value that opens when it is wanted. */
function Folded({ label, value }: { readonly label: string; readonly value: Json | undefined }) {
  if (value === undefined) return <>–</>
  return (
    <details>
      <summary>{label}</summary>
      <JsonView label={label} value={value} />
    </details>
  )
}

export function ConnectionsPanel() {
  return (
    <List<ConnectionRow>
      name="Connections"
      empty="Nobody is connected."
      keyOf={({ id }) => id}
      ask={({ api }, query) => api.connections(query)}
      columns={[
        { title: 'Connection', cell: ({ id, path }) => <a href={linkTo('actors', path)}>{id}</a> },
        { title: 'State', cell: ({ state }) => state },
        { title: 'User', cell: ({ user }) => user ?? '–' },
        { title: 'Address', cell: ({ address }) => address },
        { title: 'Transport', cell: ({ transport, codec }) => `${transport}${codec ? `, ${codec}` : ''}` },
        {
          title: 'In',
          number: true,
          cell: row => <Figure name="Received" value={row.received} unit={short} />,
        },
        { title: 'Out', number: true, cell: row => <Figure name="Sent" value={row.sent} unit={short} /> },
        {
          title: 'Queued',
          number: true,
          cell: row => <Figure name="Queued" value={row.queued} unit={bytes} />,
        },
        { title: '', cell: ({ slow, paused }) => `${slow ? 'slow' : ''} ${paused ? 'paused' : ''}` },
        { title: 'Round trip', number: true, cell: ({ rtt }) => (rtt === undefined ? '–' : duration(rtt)) },
        { title: 'Messages', cell: ({ id }) => <a href={linkTo('sequence', id)}>Sequence</a> },
      ]}
    />
  )
}

export function ChannelsPanel() {
  return (
    <List<ChannelRow>
      name="Channels"
      empty="There are no channels."
      keyOf={({ service, name }) => `${service} ${name}`}
      ask={({ api }, query) => api.channels(query)}
      columns={[
        { title: 'Channel', cell: ({ name }) => name },
        { title: 'Service', cell: ({ service }) => service },
        {
          title: 'Subscribers',
          number: true,
          cell: row => <Figure name="Subscribers" value={row.subscribers} unit={short} />,
        },
        { title: 'Offset', number: true, cell: ({ history }) => history?.offset ?? '–' },
        { title: 'Epoch', cell: ({ history }) => history?.epoch ?? '–' },
        { title: 'Waiting', number: true, cell: ({ waiting }) => waiting ?? '–' },
        { title: 'Dropped', number: true, cell: ({ dropped }) => dropped ?? '–' },
      ]}
    >
      <Publish />
    </List>
  )
}

function Publish() {
  const [service, setService] = useState('')
  const [channel, setChannel] = useState('')
  const [event, setEvent] = useState('')
  const [args, setArgs] = useState('[]')
  const action = (): Action => {
    if (!service || !channel || !event) throw new Error('Publishing needs a service, a channel and an event.')
    const list = parsed(args, 'The list of arguments')
    if (!Array.isArray(list)) throw new Error('The arguments must be a list, such as ["hello"].')
    return { type: 'publish', service, channel, event, args: list }
  }
  const fields = [
    ['Service', service, setService],
    ['Channel', channel, setChannel],
    ['Event', event, setEvent],
    ['Arguments', args, setArgs],
  ] as const
  return (
    <form class="tools inner" aria-label="Publish" onSubmit={event => event.preventDefault()}>
      {fields.map(([label, value, set]) => (
        <input
          key={label}
          class="short"
          aria-label={label}
          placeholder={label}
          value={value}
          onInput={event => set(event.currentTarget.value)}
        />
      ))}
      <ActionButton
        label="Publish"
        what={`Publishes ${event} with ${args} to ${channel} of ${service}, for all who listen.`}
        action={action}
      />
    </form>
  )
}

export function SessionsPanel() {
  return (
    <List<SessionRow>
      name="Sessions"
      empty="There are no sessions."
      keyOf={({ id }) => id}
      ask={({ api }, query) => api.sessions(query)}
      columns={[
        { title: 'Session', cell: ({ id, path }) => <a href={linkTo('actors', path)}>{id}</a> },
        { title: 'User', cell: ({ user }) => user ?? '–' },
        { title: 'Connections', number: true, cell: ({ connections }) => connections.length },
        { title: 'Stored', cell: ({ stored }) => (stored ? 'yes' : 'no') },
        {
          title: 'Ends',
          cell: ({ expires }) => (expires === undefined ? '–' : new Date(expires).toLocaleString()),
        },
        { title: 'Data', cell: ({ data }) => <Folded label="Data" value={data} /> },
      ]}
    />
  )
}

export function DeadLettersPanel() {
  return (
    <List<DeadLetterRow>
      name="Dead letters"
      empty="Every message was taken."
      keyOf={({ at, to }, index) => `${at} ${to} ${index}`}
      ask={({ api }, query) => api.deadLetters(query)}
      columns={[
        { title: 'At', cell: ({ at }) => clock(at) },
        { title: 'Type', cell: ({ type }) => type },
        { title: 'To', cell: ({ to }) => to },
        { title: 'From', cell: ({ from }) => from ?? '–' },
        { title: 'Reason', cell: ({ reason }) => reason },
        { title: 'Payload', cell: ({ payload }) => <Folded label="Payload" value={payload} /> },
      ]}
    />
  )
}

const LEVELS: readonly LogLevelName[] = ['debug', 'info', 'warn', 'error']

export function LogPanel() {
  const [level, setLevel] = useState<LogLevelName>('debug')
  const [written, setWritten] = useState<LogLevelName>('info')
  return (
    <List<LogRow>
      name="Log"
      empty="Nothing was logged since somebody watches."
      also={level}
      keyOf={({ at, message }, index) => `${at} ${message} ${index}`}
      ask={({ api }, query) => api.log({ ...query, level })}
      columns={[
        { title: 'At', cell: ({ at }) => clock(at) },
        { title: 'Level', cell: ({ level }) => <span class={`level-${level}`}>{level}</span> },
        { title: 'Who', cell: ({ name }) => name },
        { title: 'Message', cell: ({ message }) => message },
        { title: 'Details', cell: ({ details }) => <Folded label="Details" value={details} /> },
      ]}
    >
      <Levels label="Shown level" level={level} onLevel={setLevel} />
      <span class="tools inner">
        <Levels label="Written level" level={written} onLevel={setWritten} />
        <ActionButton
          label="Set written level"
          what={`From now on the application's log gets ${written} and above.`}
          action={() => ({ type: 'logLevel', level: written })}
        />
      </span>
    </List>
  )
}

function Levels(props: {
  readonly label: string
  readonly level: LogLevelName
  readonly onLevel: (level: LogLevelName) => void
}) {
  const { label, level, onLevel } = props
  return (
    <select
      aria-label={label}
      value={level}
      onChange={event => onLevel(event.currentTarget.value as LogLevelName)}
    >
      {LEVELS.map(level => (
        <option key={level}>{level}</option>
      ))}
    </select>
  )
}
