import { useState } from 'preact/hooks'
import type {
  Action,
  ChannelRow,
  ConnectionRow,
  DeadLetterRow,
  Json,
  LogLevelName,
  LogRow,
  SessionRow,
} from '../protocol/index.js'
import { Figure } from './chart.js'
import { ActionButton } from './confirm.js'
import { parsed } from './detail.js'
import { bytes, clock, duration, short } from './format.js'
import { JsonView } from './json-view.js'
import { List } from './list.js'
import { linkTo } from './router.js'

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
        {
          title: 'Connection',
          keep: 'line',
          cell: ({ id, path }) => <a href={linkTo('actors', path)}>{id}</a>,
        },
        { title: 'State', cell: ({ state }) => state },
        { title: 'User', cell: ({ user }) => user ?? '–' },
        { title: 'Address', cell: ({ address }) => address },
        {
          title: 'Transport',
          keep: 'line',
          cell: ({ transport, codec }) => `${transport}${codec ? `, ${codec}` : ''}`,
        },
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
        {
          title: 'Flow',
          cell: ({ slow, paused }) =>
            slow ? <strong class="bad-text">slow</strong> : paused ? 'paused' : '–',
        },
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
        { title: 'Session', keep: 'line', cell: ({ id, path }) => <a href={linkTo('actors', path)}>{id}</a> },
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
        { title: 'At', keep: 'line', cell: ({ at }) => clock(at) },
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
        { title: 'At', keep: 'line', cell: ({ at }) => clock(at) },
        { title: 'Level', cell: ({ level }) => <span class={`level-${level}`}>{level}</span> },
        { title: 'Who', cell: ({ name }) => name },
        { title: 'Message', keep: 'text', cell: ({ message }) => message },
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
