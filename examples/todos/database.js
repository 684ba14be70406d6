// @ts-check
/**
 * SQLite in WebAssembly, behind the two functions that the storage needs of a database.
 *
 * It is in memory here. Any client of an SQL database can take its place: both may give promises.
 */
import initSqlJs from 'sql.js'

/**
 * @typedef {string | number | null} Value
 * @typedef {{
 *   all(sql: string, values?: Value[]): Promise<Record<string, Value>[]>,
 *   run(sql: string, values?: Value[]): Promise<number>,
 * }} Database `all` gives rows, `run` how many it has changed
 */

/** Opens a new database. @returns {Promise<Database>} */
export async function openDatabase() {
  const { Database } = await initSqlJs()
  const database = new Database()
  return {
    async all(sql, values = []) {
      const statement = database.prepare(sql, values)
      try {
        const rows = []
        while (statement.step()) rows.push(/** @type {Record<string, Value>} */ (statement.getAsObject()))
        return rows
      } finally {
        statement.free()
      }
    },
    async run(sql, values = []) {
      database.run(sql, values)
      return database.getRowsModified()
    },
  }
}
