// @ts-check
/** Todos in a table: the five functions that a model needs of an SQL database. */

/**
 * @typedef {{ id: string, text: string, done: boolean, at: number }} Todo `at`: when it was added
 * @typedef {import('./database.js').Value} Value
 */

const COLUMNS = 'id, text, done, at, version'

/**
 * Makes the storage, and its table if there is none.
 *
 * @param {import('./database.js').Database} database
 * @returns {Promise<import('socketstream-server/services/model').ModelStorage<Todo>>}
 */
export async function todoStorage(database) {
  await database.run(
    `CREATE TABLE IF NOT EXISTS todos (
      id TEXT PRIMARY KEY, text TEXT NOT NULL, done INTEGER NOT NULL, at INTEGER NOT NULL, version INTEGER NOT NULL
    )`,
  )
  return {
    async load(id) {
      const [row] = await database.all(`SELECT ${COLUMNS} FROM todos WHERE id = ?`, [id])
      return row && stored(row)
    },
    async list({ query, limit }) {
      // What the filter would leave out need not be read.
      const where = query === 'open' ? 'WHERE done = 0' : ''
      const rows = await database.all(`SELECT ${COLUMNS} FROM todos ${where} LIMIT ?`, [limit])
      return rows.map(stored)
    },
    async create(id, { text, done, at }) {
      const sql = `INSERT INTO todos (${COLUMNS}) VALUES (?, ?, ?, ?, 1) ON CONFLICT DO NOTHING`
      return (await database.run(sql, [id, text, Number(done), at])) === 1 ? 1 : undefined
    },
    async update(id, { text, done, at }, version) {
      const sql =
        'UPDATE todos SET text = ?, done = ?, at = ?, version = version + 1 WHERE id = ? AND version = ?'
      const changed = await database.run(sql, [text, Number(done), at, id, version])
      return changed === 1 ? version + 1 : undefined
    },
    async remove(id, version) {
      return (await database.run('DELETE FROM todos WHERE id = ? AND version = ?', [id, version])) === 1
    },
  }
}

/** A row as the model has it. @param {Record<string, Value>} row */
function stored({ id, text, done, at, version }) {
  const record = { id: String(id), text: String(text), done: done === 1, at: Number(at) }
  return { record, version: Number(version) }
}
