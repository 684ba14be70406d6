import type { OverviewPoint } from '../protocol/index.js'
import { Chart, Figure, type Series } from './chart.js'
import { Empty } from './empty.js'
import { bytes, clock, duration, short } from './format.js'
import { useLiveSource } from './hooks.js'
import { linkTo } from './router.js'

const perSecond = (value: number): string => `${short(value)}/s`
const bytesPerSecond = (value: number): string => `${bytes(value)}/s`

type Unit = (value: number) => string

const CHARTS: readonly (readonly [title: string, unit: Unit, series: readonly Series[]])[] = [
  [
    'Messages',
    perSecond,
    [
      { label: 'in', value: ({ messagesIn }) => messagesIn },
      { label: 'out', value: ({ messagesOut }) => messagesOut },
    ],
  ],
  [
    'Bytes',
    bytesPerSecond,
    [
      { label: 'in', value: ({ bytesIn }) => bytesIn },
      { label: 'out', value: ({ bytesOut }) => bytesOut },
    ],
  ],
  [
    'Clients',
    short,
    [
      { label: 'connections', value: ({ connections }) => connections },
      { label: 'sessions', value: ({ sessions }) => sessions },
    ],
  ],
  ['Event loop', duration, [{ label: 'lag', value: ({ lag }) => lag }]],
  [
    'Memory',
    bytes,
    [
      { label: 'heap', value: ({ heap }) => heap },
      { label: 'rss', value: ({ rss }) => rss },
    ],
  ],
  ['Mailboxes', short, [{ label: 'waiting', value: ({ depth }) => depth }]],
  ['Queues to clients', bytes, [{ label: 'waiting', value: ({ queued }) => queued }]],
  [
    'Failures',
    short,
    [
      { label: 'crashes', value: ({ crashes }) => crashes },
      { label: 'dead letters', value: ({ deadLetters }) => deadLetters },
    ],
  ],
]

/** The server at a glance: its figures now, and over the last minutes. */
export function OverviewPanel() {
  const { overview, item, file } = useLiveSource()
  if (overview === undefined)
    return file ? <Empty>There is no overview in a trace.</Empty> : <Empty>Loading the figures …</Empty>
  const { points, depthOf, totals } = overview
  const last = points.at(-1)
  return (
    <>
      <Figures point={last} />
      <div class="charts">
        {CHARTS.map(([title, unit, series]) => (
          <Chart key={title} title={title} unit={unit} series={series} points={points} />
        ))}
      </div>
      <p class="note">
        Counted since {clock(totals.since).slice(0, 8)}:{' '}
        <Figure name="in" value={totals.messagesIn} unit={short} /> messages in,{' '}
        <Figure name="out" value={totals.messagesOut} unit={short} /> out,{' '}
        <Figure name="opened" value={totals.opened} unit={short} /> connections opened,{' '}
        <Figure name="closed" value={totals.closed} unit={short} /> closed. One sample a second
        {depthOf.looked < depthOf.actors &&
          `; mailboxes of ${short(depthOf.looked)} of ${short(depthOf.actors)} actors`}
        {item !== undefined &&
          item.dropped.log + item.dropped.lifecycle + item.dropped.deadLetters > 0 &&
          '; more has happened than is shown'}
        .
      </p>
    </>
  )
}

function Figures({ point }: { readonly point: OverviewPoint | undefined }) {
  const figures: readonly (readonly [string, number | undefined, Unit])[] = [
    ['Actors', point?.actors, short],
    ['Connections', point?.connections, short],
    ['Away', point?.detached, short],
    ['Sessions', point?.sessions, short],
    ['Waiting', point?.depth, short],
    ['Queued', point?.queued, bytes],
    ['Crashes', point?.crashes, short],
    ['Dead letters', point?.deadLetters, short],
    ['Errors logged', point?.errors, short],
  ]
  return (
    <>
      <dl class="figures">
        {figures.map(([name, value, unit]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Figure name={name} value={value} unit={unit} />
            </dd>
          </div>
        ))}
      </dl>
      <p class="note one-line">
        Deepest mailbox:{' '}
        {point?.deepest ? (
          <>
            <a href={linkTo('actors', point.deepest.path)}>{point.deepest.path}</a> with{' '}
            {short(point.deepest.depth)}
          </>
        ) : (
          'nothing waits'
        )}
      </p>
    </>
  )
}
