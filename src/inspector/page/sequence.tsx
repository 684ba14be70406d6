import { useEffect, useState } from 'preact/hooks'
import type { TraceEvent, TraceFile, TraceOptions } from '../protocol/index.js'
import { PROTOCOL_VERSION } from '../protocol/index.js'
import { Empty } from './empty.js'
import { download, fileName } from './files.js'
import { clock, duration } from './format.js'
import { messageOf, useAsked, useSource } from './hooks.js'
import { JsonView } from './json-view.js'
import { say } from './notice.js'
import { linkTo } from './router.js'
import { Diagram } from './sequence-diagram.js'
import { svgOf } from './sequence-drawing.js'
import type { Source } from './source.js'
import { type Heard, useTrace } from './trace.js'

/** Messages of a picture that is saved. */
const MOST_SAVED = 2000

/** The messages of one connection, or of one actor, across actors. */
export function SequencePanel({ chosen }: { readonly chosen: string | undefined }) {
  const source = useSource()
  const isFile = source.file !== undefined
  const isActor = chosen?.startsWith('/') === true
  const options = optionsOf(chosen, isActor, isFile)
  const heard = useTrace(options)
  const [frozen, setFrozen] = useState<Heard>()
  const [begin, setBegin] = useState(0)
  const [picked, setPicked] = useState<TraceEvent>()
  const [filter, setFilter] = useState('')
  useEffect(() => {
    setFrozen(undefined)
    setBegin(0)
    setPicked(undefined)
  }, [chosen])
  const shown = frozen ?? heard
  const wanted = filter.toLowerCase()
  const events = shown.events.filter(
    ({ at, label }) => at >= begin && (wanted === '' || label.toLowerCase().includes(wanted)),
  )
  const save = (): void => {
    record(source, options ?? {}, shown).then(
      file => download(fileName('trace', 'json'), 'application/json', JSON.stringify(file)),
      error => say(`No trace was saved: ${messageOf(error)}`, true),
    )
  }
  const picture = (): void => {
    const last = events.slice(-MOST_SAVED)
    download(fileName('sequence', 'svg'), 'image/svg+xml', svgOf(shown.actors, last, clock))
  }
  return (
    <div class="column">
      <div class="tools">
        {!isFile && <Chooser chosen={chosen} />}
        <button
          type="button"
          aria-pressed={frozen !== undefined}
          disabled={options === undefined || isFile}
          onClick={() => setFrozen(frozen === undefined ? heard : undefined)}
        >
          {frozen === undefined ? 'Pause' : 'Go on'}
        </button>
        <button type="button" disabled={options === undefined || isFile} onClick={() => setBegin(Date.now())}>
          Clear
        </button>
        <input
          type="search"
          aria-label="Filter messages"
          placeholder="Filter"
          value={filter}
          onInput={event => setFilter(event.currentTarget.value.trim())}
        />
        <button type="button" disabled={events.length === 0} onClick={save}>
          Save trace
        </button>
        <button type="button" disabled={events.length === 0} onClick={picture}>
          Save picture
        </button>
      </div>
      <p class="note one-line" role="status">
        {statusOf(options, shown, frozen, events.length)}
      </p>
      {options === undefined ? (
        <Empty>Choose a connection to see where its messages go.</Empty>
      ) : (
        <div class="sequence-box">
          <Diagram
            shown={shown}
            events={events}
            picked={picked}
            onPick={setPicked}
            follow={frozen === undefined}
          />
          {picked !== undefined && <Picked event={picked} onClose={() => setPicked(undefined)} />}
        </div>
      )}
    </div>
  )
}

function optionsOf(chosen: string | undefined, isActor: boolean, isFile: boolean): TraceOptions | undefined {
  if (isFile) return {}
  if (chosen === undefined) return undefined
  return isActor ? { actors: [chosen] } : { connection: chosen }
}

function statusOf(
  options: TraceOptions | undefined,
  { error, dropped, sampling, ended }: Heard,
  frozen: Heard | undefined,
  count: number,
): string {
  if (options === undefined) return 'Nothing is traced.'
  if (error !== undefined) return error
  const parts = [`${count} messages`]
  if (frozen !== undefined) parts.push('paused')
  if (sampling > 1) parts.push(`one of ${sampling} is shown`)
  if (dropped > 0) parts.push(`${dropped} left out`)
  if (ended) parts.push('ended')
  return parts.join(' · ')
}

function Chooser({ chosen }: { readonly chosen: string | undefined }) {
  const { value } = useAsked('connections', ({ api }) => api.connections({ limit: 100 }), 2000)
  const rows = value?.rows ?? []
  return (
    <select
      aria-label="Connection"
      value={chosen ?? ''}
      onChange={event => {
        const id = event.currentTarget.value
        location.hash = linkTo('sequence', id === '' ? undefined : id)
      }}
    >
      <option value="">Connection …</option>
      {chosen !== undefined && !rows.some(({ id }) => id === chosen) && (
        <option value={chosen}>{chosen}</option>
      )}
      {rows.map(({ id, address, user }) => (
        <option key={id} value={id}>
          {id} {user ?? address}
        </option>
      ))}
    </select>
  )
}

function Picked({ event, onClose }: { readonly event: TraceEvent; readonly onClose: () => void }) {
  return (
    <aside class="picked" aria-label="Chosen message">
      <button type="button" class="close" aria-label="Close" onClick={onClose}>
        ×
      </button>
      <h3>{event.label}</h3>
      <p class="note">
        {clock(event.at)} · {event.from ?? '?'} → {event.to} · {duration(event.took)} · {event.depth} waited
        behind it
        {event.failed && ' · failed'}
      </p>
      <JsonView label="Payload" value={event.payload} />
    </aside>
  )
}

/** What was heard, as a file that this page opens without a server. */
async function record(source: Source, options: TraceOptions, heard: Heard): Promise<TraceFile> {
  const { actors, events, dropped } = heard
  const asked = await Promise.allSettled(
    actors.filter(path => path.startsWith('/')).map(path => source.api.actor(path)),
  )
  return {
    kind: 'socketstream-trace',
    protocol: PROTOCOL_VERSION,
    recordedAt: Date.now(),
    hello: source.hello!,
    options,
    actors,
    events,
    dropped,
    details: asked.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : [])),
  }
}
