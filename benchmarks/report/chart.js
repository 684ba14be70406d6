/**
 * Bar charts as SVG: a title, groups of labelled bars, each with its value.
 *
 * The colours follow the reader's light or dark setting. Several columns stand side by side, each
 * with a scale of its own.
 */

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {number} value
 * @property {string} text the value, as it is written
 * @property {number} [min] with `max`, the ends of a whisker
 * @property {number} [max]
 * @property {'main' | 'other'} [tone] which of two colours; `main` unless told
 *
 * @typedef {object} Group
 * @property {string} label
 * @property {readonly (readonly Bar[])[]} columns one list of bars per column
 *
 * @typedef {object} Chart
 * @property {string} title
 * @property {string} subtitle what is measured, in which unit, and what is better
 * @property {readonly string[]} [columns] headings; needed when there are several
 * @property {readonly Group[]} groups
 * @property {boolean} [ownScale] each group has its own scale; otherwise all share one
 */

const WIDTH = 960
const MARGIN = 24
const LABEL = 176
const VALUE = 112
const BAR = 14
const STEP = 20
const HEAD = 78
const GROUP_HEAD = 30
const GAP = 32

const STYLE = `
  svg { --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --main: #0969da; --other: #9aa4af; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #f0f6fc; --soft: #9198a1; --paper: #0d1117; --main: #4493f8; --other: #656c76; }
  }
  text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: var(--ink); }
  .title { font-size: 18px; font-weight: 600; }
  .group { font-size: 13px; font-weight: 600; }
  .soft { fill: var(--soft); }
  .main { fill: var(--main); }
  .other { fill: var(--other); }
  .whisker { stroke: var(--ink); stroke-width: 1.2; fill: none; }
  .rule { stroke: var(--soft); stroke-width: 0.5; }
  .paper { fill: var(--paper); }
`

/**
 * Draws a chart.
 *
 * @param {Chart} chart
 * @returns {string} a whole SVG document
 */
export function barChart({ title, subtitle, columns = [], groups, ownScale = false }) {
  const count = groups[0]?.columns.length ?? 1
  const columnWidth = (WIDTH - 2 * MARGIN - LABEL - (count - 1) * GAP) / count
  const shared = Math.max(...groups.flatMap(group => group.columns.flat().map(reach)))
  const parts = [text(MARGIN, 34, title, 'title'), text(MARGIN, 56, subtitle, 'soft')]
  let y = HEAD
  if (columns.length > 0) {
    columns.forEach((name, column) => {
      parts.push(text(columnAt(column), y + 8, name, 'group'))
    })
    y += 18
  }
  for (const group of groups) {
    parts.push(text(MARGIN, y + 20, group.label, 'group'), rule(y))
    y += GROUP_HEAD
    group.columns.forEach((bars, column) => {
      const scale = ownScale ? Math.max(...bars.map(reach)) : shared
      parts.push(...drawBars(bars, columnAt(column), y, (columnWidth - VALUE) / scale))
    })
    const first = group.columns[0] ?? []
    parts.push(...first.map((bar, row) => text(MARGIN, y + row * STEP + 11, bar.label)))
    y += first.length * STEP + 10
  }
  const size = `width="${WIDTH}" height="${y + 10}" viewBox="0 0 ${WIDTH} ${y + 10}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`,
    `<title>${escapeXml(title)}</title><style>${STYLE}</style>`,
    `<rect class="paper" width="100%" height="100%"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')

  /** @param {number} column */
  function columnAt(column) {
    return MARGIN + LABEL + column * (columnWidth + GAP)
  }
}

/**
 * @param {readonly Bar[]} bars
 * @param {number} x
 * @param {number} y
 * @param {number} scale pixels per unit
 */
function drawBars(bars, x, y, scale) {
  return bars.flatMap(({ value, text: written, min, max, tone = 'main' }, row) => {
    const top = y + row * STEP
    const width = Math.max(value * scale, 1)
    const parts = []
    if (value > 0) {
      parts.push(
        `<rect class="${tone}" x="${x}" y="${top}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
      )
    }
    let end = value > 0 ? width : -6
    if (min !== undefined && max !== undefined) {
      const [from, to, middle] = [x + min * scale, x + max * scale, top + BAR / 2]
      end = Math.max(end, max * scale)
      const ends = `M${from.toFixed(1)} ${middle - 3}v6M${to.toFixed(1)} ${middle - 3}v6`
      parts.push(`<path class="whisker" d="M${from.toFixed(1)} ${middle}H${to.toFixed(1)}${ends}"/>`)
    }
    parts.push(text(x + end + 6, top + 11, written, 'soft'))
    return parts
  })
}

/** @param {Bar} bar */
function reach(bar) {
  return Math.max(bar.value, bar.max ?? 0)
}

/** @param {number} y */
function rule(y) {
  return `<line class="rule" x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${y}" y2="${y}"/>`
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {string} [name] class
 */
function text(x, y, content, name) {
  const style = name === undefined ? '' : ` class="${name}"`
  return `<text x="${x.toFixed(1)}" y="${y}"${style}>${escapeXml(content)}</text>`
}

/** @param {string} content */
function escapeXml(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
