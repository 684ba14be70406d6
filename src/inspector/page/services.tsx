import { useEffect } from 'preact/hooks'
import { BUCKETS, type MethodRow, type ServiceRow } from '../protocol/index.js'
import { Figure } from './chart.js'
import { Empty } from './empty.js'
import { clock, duration, short } from './format.js'
import { useAsked, useLiveSource } from './hooks.js'
import { linkTo } from './router.js'

/** The services and their methods; methods are counted as long as this is shown. */
export function ServicesPanel() {
  useCounting()
  const { value: services, error } = useAsked('services', ({ api }) => api.services())
  if (services === undefined) return <Empty>{error ?? 'Loading the services …'}</Empty>
  if (services.length === 0) return <Empty>There are no services here.</Empty>
  return (
    <div class="column scroll-y">
      {services.map(service => (
        <Service key={service.id} service={service} />
      ))}
    </div>
  )
}

function Service({ service }: { readonly service: ServiceRow }) {
  const { name, type, methods, countedSince } = service
  return (
    <section class="service" aria-label={`Service ${name}`}>
      <h2>
        <a href={linkTo('actors', service.path)}>{name}</a>{' '}
        <span class="soft">
          {type}
          {service.private && ', private'}
        </span>
      </h2>
      <p class="note">
        <Figure name={`${name} handled`} value={service.handled} unit={short} /> handled,{' '}
        {short(service.depth)} waiting, {short(service.channels)} channels
        {service.slow !== undefined &&
          `; ${short(service.slow.waiting)} messages wait for ${short(service.slow.connections)} slow clients, ${short(service.slow.dropped)} were dropped`}
        {countedSince !== undefined && `; methods counted since ${clock(countedSince).slice(0, 8)}`}
      </p>
      {methods.length === 0 ? (
        <p class="soft">No calls since its methods are counted.</p>
      ) : (
        <div class="table-box">
          <table>
            <thead>
              <tr>
                <th scope="col">Method</th>
                <th scope="col" class="number">
                  Calls
                </th>
                <th scope="col" class="number">
                  Errors
                </th>
                <th scope="col" class="number">
                  In flight
                </th>
                <th scope="col" class="number">
                  Unfinished
                </th>
                <th scope="col" class="number">
                  p50
                </th>
                <th scope="col" class="number">
                  p99
                </th>
                <th scope="col" class="number">
                  Max
                </th>
                <th scope="col">Times</th>
              </tr>
            </thead>
            <tbody>
              {methods.map(method => (
                <Method key={method.name} method={method} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Method({ method }: { readonly method: MethodRow }) {
  const time = (ms: number | undefined): string => (ms === undefined ? '–' : duration(ms))
  return (
    <tr data-method={method.name}>
      <th scope="row">{method.name}</th>
      <td class="number">
        <Figure name="Calls" value={method.calls} unit={short} />
      </td>
      <td class={`number${method.errors > 0 ? ' bad-text' : ''}`}>
        <Figure name="Errors" value={method.errors} unit={short} />
      </td>
      <td class="number">{short(method.inFlight)}</td>
      <td class="number">{short(method.unfinished)}</td>
      <td class="number">{time(method.p50)}</td>
      <td class="number">{time(method.p99)}</td>
      <td class="number">{time(method.max)}</td>
      <td>
        <Histogram counts={method.histogram} />
      </td>
    </tr>
  )
}

/** How many calls took how long; the heights are logarithms, so that few are seen beside many. */
function Histogram({ counts }: { readonly counts: readonly number[] }) {
  const most = Math.log1p(Math.max(1, ...counts))
  const bound = (index: number): string =>
    index < BUCKETS.length ? `up to ${duration(BUCKETS[index]!)}` : `more than ${duration(BUCKETS.at(-1)!)}`
  const total = counts.reduce((sum, count) => sum + count, 0)
  return (
    <svg
      class="histogram"
      width={counts.length * 7}
      height="20"
      role="img"
      aria-label={`Times of ${total} calls`}
    >
      {counts.map((count, index) => {
        const height = count === 0 ? 1 : Math.max(2, (Math.log1p(count) / most) * 20)
        return (
          <rect key={bound(index)} x={index * 7} y={20 - height} width="6" height={height}>
            <title>{`${bound(index)}: ${count}`}</title>
          </rect>
        )
      })}
    </svg>
  )
}

/** Has methods counted: they are as long as a watch that wants it is open. */
function useCounting(): void {
  const source = useLiveSource()
  const [ready, epoch] = [source.status === 'connected', source.epoch]
  useEffect(() => {
    if (!ready) return
    const items = source.api.watch({ services: true })[Symbol.asyncIterator]()
    const drain = async (): Promise<void> => {
      while (!(await items.next()).done);
    }
    // The link has gone: the next one counts.
    drain().catch(() => {})
    return () => void items.return?.()?.catch(() => {})
  }, [ready, epoch])
}
