import { existsSync, readFileSync, writeFileSync } from 'node:fs'

/**
 * Puts the report of a section into a page, between `<!-- begin NAME -->` and `<!-- end NAME -->`.
 *
 * Pages without these markers stay as they are.
 *
 * @param {string} file
 * @param {string} name of the section
 * @param {string} report Markdown, whose first heading is left out: the page has its own
 * @param {{ date?: string, node?: string, cpu?: string }} machine
 * @param {readonly string[]} [charts] where they are, as seen from the page
 */
export function updatePage(file, name, report, { date = '', node = '', cpu = '' }, charts = []) {
  if (!existsSync(file)) return
  const page = readFileSync(file, 'utf8')
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) return
  const body = report.replace(/^## .*\n+/, '')
  const words = `_${date.slice(0, 10)}, Node ${node}, ${cpu}._`
  const links = charts.map(chart => `[${chart.replace(/.*\//, '')}](${chart})`).join(' · ')
  const parts = [words, body, ...(links === '' ? [] : [`Charts: ${links}`])]
  writeFileSync(file, `${page.slice(0, from)}${begin}\n${parts.join('\n\n')}\n${page.slice(to)}`)
}
