import { useEffect, useRef, useState } from 'preact/hooks'
import { ActorsPanel } from './actors.js'
import { Empty } from './empty.js'
import { readFile } from './file-source.js'
import { download, fileName } from './files.js'
import { duration } from './format.js'
import { messageOf, SourceContext, useLiveSource } from './hooks.js'
import { ChannelsPanel, ConnectionsPanel, DeadLettersPanel, LogPanel, SessionsPanel } from './lists.js'
import { Notices, say } from './notice.js'
import { OverviewPanel } from './overview.js'
import { linkTo, type Place, usePlace } from './router.js'
import { SequencePanel } from './sequence.js'
import { ServicesPanel } from './services.js'
import type { Source, SourceStatus } from './source.js'

const PANELS: readonly (readonly [panel: string, title: string])[] = [
  ['overview', 'Overview'],
  ['actors', 'Actors'],
  ['sequence', 'Sequence'],
  ['services', 'Services'],
  ['channels', 'Channels'],
  ['connections', 'Connections'],
  ['sessions', 'Sessions'],
  ['dead-letters', 'Dead letters'],
  ['log', 'Log'],
]

const STATUS: Readonly<Record<SourceStatus, string>> = {
  connecting: 'Connecting …',
  connected: 'Connected',
  lost: 'Connection lost, coming back …',
  denied: 'Not allowed',
  offline: 'A file',
}

/** The page: of a server, until a file is opened. */
export function App({ live }: { readonly live: Source }) {
  const [source, setSource] = useState(live)
  return (
    <SourceContext.Provider value={source}>
      <Shell
        onOpen={file => setSource(file)}
        onClose={() => {
          setSource(live)
          location.hash = linkTo('overview')
        }}
      />
      <Notices />
    </SourceContext.Provider>
  )
}

function Shell(props: { readonly onOpen: (file: Source) => void; readonly onClose: () => void }) {
  const source = useLiveSource()
  const place = usePlace()
  const main = useRef<HTMLElement>(null)
  const nav = useRef<HTMLElement>(null)
  useEffect(() => {
    const [, title] = PANELS.find(([panel]) => panel === place.panel) ?? PANELS[0]!
    document.title = `${title} · SocketStream inspector`
    // Where there is no room for all, the names are in a row that scrolls.
    nav.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [place.panel])
  // A file and each incarnation of a server are worlds of their own: nothing is carried over.
  const world = source.file?.name ?? source.hello?.incarnation ?? ''
  return (
    <div class={`shell ${source.status}`}>
      <a
        class="skip"
        href={linkTo(place.panel, place.chosen)}
        onClick={event => {
          event.preventDefault()
          main.current?.focus()
        }}
      >
        Skip to the panel
      </a>
      <header>
        <h1>
          <span aria-hidden="true">◆</span> Inspector
        </h1>
        <Status source={source} />
        <span class="space" />
        <Files source={source} {...props} />
      </header>
      <nav aria-label="Panels" ref={nav}>
        {PANELS.map(([panel, title]) => (
          <a key={panel} href={linkTo(panel)} aria-current={panel === place.panel ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <main ref={main} tabIndex={-1} aria-label={place.panel} aria-busy={source.status === 'connecting'}>
        {source.hello === undefined || source.status === 'denied' ? (
          <NotYet status={source.status} />
        ) : (
          <Panel key={world} place={place} />
        )}
      </main>
    </div>
  )
}

function Panel({ place: { panel, chosen } }: { readonly place: Place }) {
  switch (panel) {
    case 'actors':
      return <ActorsPanel chosen={chosen} />
    case 'sequence':
      return <SequencePanel chosen={chosen} />
    case 'services':
      return <ServicesPanel />
    case 'channels':
      return <ChannelsPanel key="channels" />
    case 'connections':
      return <ConnectionsPanel key="connections" />
    case 'sessions':
      return <SessionsPanel key="sessions" />
    case 'dead-letters':
      return <DeadLettersPanel key="dead-letters" />
    case 'log':
      return <LogPanel key="log" />
    default:
      return <OverviewPanel />
  }
}

function NotYet({ status }: { readonly status: SourceStatus }) {
  if (status !== 'denied') return <Empty>Connecting to the server …</Empty>
  return (
    <Empty>
      The server does not let this page in. <a href="./">Sign in again</a>, or come from the machine it runs
      on.
    </Empty>
  )
}

function Status({ source }: { readonly source: Source }) {
  const { status, hello, file } = source
  return (
    <p class="status" role="status" data-status={status}>
      <span class="dot" aria-hidden="true" />
      {file === undefined ? STATUS[status] : `${file.name} of ${new Date(file.takenAt).toLocaleString()}`}
      {hello !== undefined && status === 'connected' && (
        <span class="soft">
          {' '}
          to {hello.pid} · {hello.node} · up {duration(Math.max(0, Date.now() - hello.startedAt))}
        </span>
      )}
      {hello?.readOnly && <strong class="badge">read-only</strong>}
    </p>
  )
}

function Files(props: {
  readonly source: Source
  readonly onOpen: (file: Source) => void
  readonly onClose: () => void
}) {
  const { source, onOpen, onClose } = props
  const input = useRef<HTMLInputElement>(null)
  const open = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return
    try {
      const opened = readFile(file.name, await file.text())
      onOpen(opened)
      location.hash = linkTo(opened.trace === undefined ? 'overview' : 'sequence')
    } catch (error) {
      say(messageOf(error), true)
    }
  }
  const save = (): void => {
    source.api.snapshot().then(
      snapshot => download(fileName('snapshot', 'json'), 'application/json', JSON.stringify(snapshot)),
      error => say(`No snapshot was taken: ${messageOf(error)}`, true),
    )
  }
  return (
    <span class="buttons">
      {source.file === undefined ? (
        <button type="button" disabled={source.status !== 'connected'} onClick={save}>
          Save snapshot
        </button>
      ) : (
        <button type="button" onClick={onClose}>
          Close file
        </button>
      )}
      <button type="button" onClick={() => input.current?.click()}>
        Open file
      </button>
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        aria-label="A trace or a snapshot"
        hidden
        onChange={event => {
          const { files } = event.currentTarget
          void open(files?.[0])
          // The same file may be opened again.
          event.currentTarget.value = ''
        }}
      />
    </span>
  )
}
