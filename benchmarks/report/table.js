/**
 * A table in Markdown, aligned so that it reads well as plain text too.
 *
 * @param {readonly string[]} header a name that ends with `:` is a column of numbers, aligned right
 * @param {readonly (readonly string[])[]} rows
 * @returns {string} lines without the last line break
 */
export function table(header, rows) {
  const right = header.map(name => name.endsWith(':'))
  const names = header.map(name => name.replace(/:$/, ''))
  const widths = names.map((name, column) =>
    Math.max(3, name.length, ...rows.map(row => (row[column] ?? '').length)),
  )
  /** @param {readonly string[]} cells */
  const line = cells =>
    `| ${widths.map((width, i) => (right[i] ? pad(cells[i], width) : (cells[i] ?? '').padEnd(width))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => `${'-'.repeat(width + 1)}${right[i] ? ':' : '-'}`).join('|')}|`
  return [line(names), rule, ...rows.map(line)].join('\n')
}

/**
 * @param {string | undefined} cell
 * @param {number} width
 */
function pad(cell, width) {
  return (cell ?? '').padStart(width)
}
