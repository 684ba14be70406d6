import { useState } from 'preact/hooks'
import type { Action, ActorDetail, Json, LifecycleEvent, TraceEvent } from '../protocol/index.js'
import { Figure } from './chart.js'
import { ActionButton } from './confirm.js'
import { Empty } from './empty.js'
import { ConnectionFacts, Fact, MemoryParts } from './facts.js'
import { clock, duration, short } from './format.js'
import { useAsked, useSource } from './hooks.js'
import { JsonView } from './json-view.js'
import { linkTo } from './router.js'
import { StatechartView } from './statechart.js'
import { useTrace } from './trace.js'

/** One actor in full; taps it as long as it is shown. */
export function ActorDetailView({ path }: { readonly path: string }) {
  const source = useSource()
  const { value: detail, error } = useAsked(path, ({ api }) => api.actor(path))
  // What it was told, its times and its last transition are known of tapped actors only.
  useTrace(source.file === undefined ? { actors: [path] } : undefined)
  if (detail === undefined) return <Empty>{error ?? 'Loading the actor …'}</Empty>
  const { statechart, connection, snapshot } = detail
  return (
    <article class="actor">
      <h2 class="path">{detail.path}</h2>
      {error !== undefined && <p class="warning">{error}</p>}
      <Facts detail={detail} />
      <Actions detail={detail} />
      {connection !== undefined && <ConnectionFacts row={connection} />}
      {statechart !== undefined && (
        <>
          <h3>Statechart</h3>
          <StatechartView chart={statechart} />
          <h3>Context</h3>
          <JsonView label="Context" value={statechart.context} />
        </>
      )}
      {snapshot !== undefined && (
        <>
          <h3>State</h3>
          <JsonView label="State" value={snapshot} />
        </>
      )}
      <h3>Life</h3>
      <Life events={detail.lifecycle} />
      <h3>Last messages</h3>
      <Events events={detail.events} />
    </article>
  )
}

function Facts({ detail }: { readonly detail: ActorDetail }) {
  const { parent, childPaths, children, capacity } = detail
  return (
    <dl class="facts">
      <Fact name="Kind">{detail.kind}</Fact>
      <Fact name="State">{detail.waiting ? 'starting' : (detail.state ?? '–')}</Fact>
      <Fact name="Waiting">
        <Figure name="Waiting messages" value={detail.depth} unit={short} /> of{' '}
        {capacity >= Number.MAX_SAFE_INTEGER ? 'any number' : short(capacity)}
      </Fact>
      <Fact name="Handled">
        <Figure name="Handled messages" value={detail.handled} unit={short} />
        {detail.rate !== undefined && `, ${short(detail.rate)}/s`}
      </Fact>
      <Fact name="p99">{detail.p99 === undefined ? '–' : duration(detail.p99)}</Fact>
      <Fact name="Restarts">
        <Figure name="Restarts" value={detail.restarts} unit={short} />
      </Fact>
      <Fact name="Memory">
        <MemoryParts memory={detail.memory} />
      </Fact>
      <Fact name="Began">{clock(detail.since)}</Fact>
      <Fact name="Watched by">
        {detail.watchers} watchers, {detail.subscribers} subscribers
      </Fact>
      <Fact name="Parent">
        {parent === undefined ? '–' : <a href={linkTo('actors', parent)}>{parent}</a>}
      </Fact>
      <Fact name="Children">
        {children === 0 && '–'}
        {childPaths.slice(0, 10).map(child => (
          <a key={child} href={linkTo('actors', child)}>
            {child.slice(child.lastIndexOf('/') + 1)}
          </a>
        ))}
        {children > 10 && ` and ${short(children - 10)} more`}
      </Fact>
    </dl>
  )
}

function Actions({ detail }: { readonly detail: ActorDetail }) {
  const { path, actions, connection } = detail
  const [text, setText] = useState('{ "type": "" }')
  const not = (what: (typeof actions)[number]): string | undefined =>
    actions.includes(what) ? undefined : "this is one of the server's own actors"
  if (connection !== undefined)
    return (
      <div class="buttons">
        <ActionButton
          label="Close connection"
          what={`Closes ${connection.id} of ${connection.address}. Its client may come back.`}
          action={() => ({ type: 'closeConnection', id: connection.id })}
        />
        <a class="button" href={linkTo('sequence', connection.id)}>
          Its messages
        </a>
      </div>
    )
  const send = (): Action => {
    const message = parsed(text, 'The message')
    if (
      typeof (message as { type?: unknown } | null)?.type !== 'string' ||
      !(message as { type: string }).type
    )
      throw new Error('The message must be an object with a text as "type".')
    return { type: 'send', path, message }
  }
  return (
    <>
      <div class="buttons">
        <ActionButton
          label="Restart"
          what={`Begins ${path} anew: what it keeps in memory is lost.`}
          action={() => ({ type: 'restartActor', path })}
          not={not('restart')}
        />
        <ActionButton
          label="Stop"
          what={`Stops ${path} and all below it, for good.`}
          action={() => ({ type: 'stopActor', path })}
          not={not('stop')}
        />
      </div>
      {actions.includes('send') && (
        <form class="tools" onSubmit={event => event.preventDefault()}>
          <input
            aria-label="Message as JSON"
            class="wide code"
            value={text}
            onInput={event => setText(event.currentTarget.value)}
          />
          <ActionButton label="Send" what={`Sends ${path} this message: ${text}`} action={send} />
        </form>
      )}
    </>
  )
}

/** JSON that somebody typed. @throws Error that says so */
export function parsed(text: string, what: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new Error(`${what} is not JSON.`)
  }
}

function Life({ events }: { readonly events: readonly LifecycleEvent[] }) {
  if (events.length === 0) return <Empty>Nothing happened to it while somebody watched.</Empty>
  return (
    <ul class="plain">
      {events.map((event, index) => (
        <li key={`${event.at} ${index}`}>
          <time>{clock(event.at)}</time>{' '}
          <strong class={event.type === 'crashed' ? 'bad-text' : ''}>{event.type}</strong>{' '}
          {event.messageType !== undefined && `at ${event.messageType} `}
          {event.action !== undefined && `→ ${event.action} `}
          {event.error}
        </li>
      ))}
    </ul>
  )
}

function Events({ events }: { readonly events: readonly TraceEvent[] }) {
  if (events.length === 0) return <Empty>None since it is looked at.</Empty>
  return (
    <ul class="plain">
      {events.slice(0, 50).map(event => (
        <li key={event.seq}>
          <time>{clock(event.at)}</time> <strong class={event.failed ? 'bad-text' : ''}>{event.label}</strong>{' '}
          {event.from !== undefined && `from ${event.from} `}
          <span class="soft">{duration(event.took)}</span>
        </li>
      ))}
    </ul>
  )
}
