import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import type { OverviewPoint } from '../protocol.js'

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
    const made = new uPlot(optionsFor(element, series, unit), newest.current, element)
    plot.current = made
    const resized = new ResizeObserver(() => {
      if (element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height: HEIGHT })
    })
    resized.observe(element)
    return () => {
      resized.disconnect()
      made.destroy()
      plot.current = undefined
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

function optionsFor(element: HTMLElement, series: readonly Series[], unit: (value: number) => string) {
  const style = getComputedStyle(element)
  const [ink, grid] = [style.getPropertyValue('--soft'), style.getPropertyValue('--line')]
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false } }
  const options: uPlot.Options = {
    width: element.clientWidth || 300,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(most ?? 0, 1) * 1.1] } },
    axes: [
      { ...axis, size: 22, font: '11px system-ui', space: 70 },
      {
        ...axis,
        size: 62,
        font: '11px system-ui',
        space: 28,
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
