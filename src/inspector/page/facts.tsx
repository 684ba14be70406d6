import type { ComponentChildren } from 'preact'
import type { ActorMemory, ConnectionRow } from '../protocol/index.js'
import { Figure } from './chart.js'
import { bytes, clock, duration, short } from './format.js'

/** One fact of a list of them. */
export function Fact(props: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  )
}

const PARTS: readonly (readonly [part: keyof ActorMemory['parts'], words: string])[] = [
  ['mailbox', 'in its mailbox'],
  ['queued', 'not read by the client'],
  ['held', 'received, not handled'],
  ['resume', 'kept for a resume'],
  ['data', 'of session data'],
]

/** What is known of an actor's memory: each part, as what they add up to is not all. */
export function MemoryParts({ memory }: { readonly memory: ActorMemory | undefined }) {
  if (memory === undefined) return <span title="Nothing of it is counted">–</span>
  const known = PARTS.filter(([part]) => memory.parts[part] !== undefined)
  return (
    <>
      {known.map(([part, words], index) => (
        <span key={part}>
          {index > 0 && ', '}
          <Figure name={`Memory ${part}`} value={memory.parts[part]} unit={bytes} /> {words}
        </span>
      ))}
    </>
  )
}

/** What is known of a connection. */
export function ConnectionFacts({ row }: { readonly row: ConnectionRow }) {
  const { resume } = row
  return (
    <>
      <h3>Connection</h3>
      <dl class="facts">
        <Fact name="Transport">
          {row.transport}
          {row.codec !== undefined && `, ${row.codec}`}
          {row.secure && ', secure'}
        </Fact>
        <Fact name="Address">{row.address}</Fact>
        <Fact name="Session">
          {row.session === undefined ? '–' : row.session}
          {row.user !== undefined && ` of ${row.user}`}
        </Fact>
        <Fact name="Received">
          <Figure name="Received" value={row.received} unit={short} />
          {row.bytesIn !== undefined && `, ${bytes(row.bytesIn)}`}
        </Fact>
        <Fact name="Sent">
          <Figure name="Sent" value={row.sent} unit={short} />
          {row.bytesOut !== undefined && `, ${bytes(row.bytesOut)}`}
        </Fact>
        <Fact name="Queued">
          <Figure name="Queued bytes" value={row.queued} unit={bytes} />
          {row.slow && <strong class="bad-text"> slow</strong>}
          {row.paused && ' paused'}
        </Fact>
        <Fact name="Round trip">{row.rtt === undefined ? '–' : duration(row.rtt)}</Fact>
        <Fact name="Rooms">{row.rooms.join(', ') || '–'}</Fact>
        <Fact name="Resume">
          {resume === undefined
            ? 'cannot be resumed'
            : `${bytes(resume.bytes)} kept, ${short(resume.acknowledged)} acknowledged`}
          {resume?.awaySince !== undefined && `, away since ${clock(resume.awaySince).slice(0, 8)}`}
        </Fact>
      </dl>
    </>
  )
}
