import { useState } from 'preact/hooks'
import type { ActorKind, ActorSort } from '../protocol/index.js'
import { ActorDetailView } from './detail.js'
import { useCalm, useSource } from './hooks.js'
import { linkTo } from './router.js'
import { Tree } from './tree.js'
import type { TreeQuery } from './tree-model.js'

const KINDS: readonly ActorKind[] = [
  'connection',
  'session',
  'service',
  'machine',
  'behaviour',
  'supervisor',
  'router',
  'sessions',
]

/** The tree of actors, and the chosen one beside it. */
export function ActorsPanel({ chosen }: { readonly chosen: string | undefined }) {
  const source = useSource()
  const [typed, setTyped] = useState('')
  const search = useCalm(typed)
  const [kind, setKind] = useState<ActorKind>()
  const [busy, setBusy] = useState(false)
  const [flat, setFlat] = useState(source.file?.kind === 'trace')
  const [{ sort, descending }, setSort] = useState<{ sort: ActorSort; descending: boolean }>({
    sort: 'began',
    descending: false,
  })
  const query: TreeQuery = {
    sort,
    descending,
    ...(search !== '' && { search }),
    ...(kind !== undefined && { kind }),
    ...(busy && { minDepth: 1 }),
    ...(flat && { deep: true }),
  }
  const sortBy = (by: ActorSort): void => {
    // Numbers are of interest from the top. The third press goes back to the order of beginning.
    const first = by !== 'name' && by !== 'kind'
    if (by !== sort) setSort({ sort: by, descending: first })
    else if (descending === first) setSort({ sort: by, descending: !first })
    else setSort({ sort: 'began', descending: false })
  }
  return (
    <div class={`split${chosen === undefined ? '' : ' has-chosen'}`}>
      <section class="master" aria-label="Actors">
        <form class="tools" onSubmit={event => event.preventDefault()}>
          <input
            type="search"
            aria-label="Search actors"
            placeholder="Path, session, user or address"
            value={typed}
            maxLength={200}
            onInput={event => setTyped(event.currentTarget.value)}
          />
          <select
            aria-label="Kind"
            value={kind ?? ''}
            onChange={event => setKind((event.currentTarget.value || undefined) as ActorKind | undefined)}
          >
            <option value="">Any kind</option>
            {KINDS.map(kind => (
              <option key={kind}>{kind}</option>
            ))}
          </select>
          <label>
            <input type="checkbox" checked={busy} onChange={event => setBusy(event.currentTarget.checked)} />{' '}
            Busy
          </label>
          <label>
            <input type="checkbox" checked={flat} onChange={event => setFlat(event.currentTarget.checked)} />{' '}
            Flat
          </label>
        </form>
        <Tree query={query} chosen={chosen} onSort={sortBy} />
      </section>
      {chosen !== undefined && (
        <section class="detail" aria-label="Chosen actor">
          <a class="back" href={linkTo('actors')}>
            ← All actors
          </a>
          <ActorDetailView key={chosen} path={chosen} />
        </section>
      )}
    </div>
  )
}
