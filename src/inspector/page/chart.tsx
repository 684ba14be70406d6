import { useEffect, useRef, useState } from 'preact/hooks'
import type uPlot from 'uplot'
import type { OverviewPoint } from '../protocol/index.js'
import { clock } from './format.js'

/** Pixels; fixed, so that nothing moves when data comes. */
const HEIGHT = 120

/** One line of a chart. */
export interface Series {
  readonly label: string
  readonly value: (point: OverviewPoint) => number | undefined
}

/** A chart of one or two lines over the last minutes, with their newest values. */
export function Chart(props: {
  readonly title: string
  readonly series: readonly Series[]
  readonly points: readonly OverviewPoint[]
  readonly unit: (value: number) => string
}) {
  const { title, series, points, unit } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const dark = useDark()
  const data: uPlot.AlignedData = [
    points.map(({ at }) => at / 1000),
    ...series.map(({ value }) => points.map(point => value(point) ?? null)),
  ]
  const newest = useRef(data)
  newest.current = data
  useEffect(() => {
    const element = box.current!
    let over = false
    let end = (): void => {}
    const begin = ({ default: Plot }: { readonly default: typeof uPlot }): void => {
      if (over) return
      const made = new Plot(optionsFor(element, series, unit, stepsOf(unit)), newest.current, element)
      plot.current = made
      const resized = new ResizeObserver(() => {
        if (element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height: HEIGHT })
      })
      resized.observe(element)
      end = () => {
        resized.disconnect()
        made.destroy()
        plot.current = undefined
      }
    }
    // Without it there are the figures above, and the next chart tries again.
    import('./charts.js').then(begin, () => {})
    return () => {
      over = true
      end()
    }
  }, [dark])
  useEffect(() => {
    plot.current?.setData(newest.current)
  }, [points, series])
  const last = points.at(-1)
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        {series.map(({ label, value }, index) => (
          <span key={label} class={`figure line-${index}`}>
            {label} <Figure name={`${title} ${label}`} value={last && value(last)} unit={unit} />
          </span>
        ))}
      </figcaption>
      <div class="plot" ref={box} aria-hidden="true" />
    </figure>
  )
}

/** A number for people, with the exact one for machines. */
export function Figure(props: {
  readonly name: string
  readonly value: number | undefined
  readonly unit: (value: number) => string
}) {
  const { name, value, unit } = props
  if (value === undefined) return <span class="number">–</span>
  return (
    <data class="number" value={value} title={`${name}: ${value}`}>
      {unit(value)}
    </data>
  )
}

function optionsFor(
  element: HTMLElement,
  series: readonly Series[],
  unit: (value: number) => string,
  steps: number[],
) {
  const style = getComputedStyle(element)
  const [ink, grid] = [style.getPropertyValue('--soft'), style.getPropertyValue('--line')]
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false } }
  const options: uPlot.Options = {
    width: element.clientWidth || 300,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      // Half a minute at least: the first samples would make a scale that changes with each.
      x: { range: (_plot, first, last) => [Math.min(first ?? 0, (last ?? 0) - 30), last ?? 0] },
      y: { range: (_plot, _least, most) => [0, Math.max(most ?? 0, 1) * 1.1] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        font: '11px system-ui',
        space: 80,
        values: (_plot, times) => times.map(time => clock(time * 1000).slice(0, 8)),
      },
      {
        ...axis,
        size: 62,
        font: '11px system-ui',
        space: 28,
        incrs: steps,
        values: (_plot, values) => values.map(unit),
      },
    ],
    series: [
      {},
      ...series.map(({ label }, index) => ({
        label,
        stroke: style.getPropertyValue(`--line-${index}`),
        width: 1.5,
        points: { show: false },
        ...(index > 0 && { dash: [4, 3] }),
      })),
    ],
  }
  return options
}

/** Steps between the lines of a scale: powers of two of bytes, whole numbers of the rest. */
function stepsOf(unit: (value: number) => string): number[] {
  if (unit(1024).startsWith('1.0 K')) return Array.from({ length: 41 }, (_one, power) => 2 ** power)
  return Array.from({ length: 13 }, (_one, power) => [1, 2, 5].map(step => step * 10 ** power)).flat()
}

function useDark(): boolean {
  const query = matchMedia('(prefers-color-scheme: dark)')
  const [dark, setDark] = useState(query.matches)
  useEffect(() => {
    const follow = (): void => setDark(query.matches)
    query.addEventListener('change', follow)
    return () => query.removeEventListener('change', follow)
  }, [])
  return dark
}
