import { SocketStreamError } from '../errors.js'
import { isServiceName } from '../protocol/names.js'

/**
 * Reads an option that is a table by service; `*` is for services that are not listed.
 *
 * Only own properties count, and the table is read once.
 *
 * @param where names the option in the error, such as `timeout()`
 * @param read what to keep of a value; undefined when it is wrong
 * @param wants what a value must be
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function serviceTable<Value>(
  where: string,
  table: unknown,
  read: (value: unknown) => Value | undefined,
  wants: string,
): (service: string) => Value | undefined {
  if (table === null || typeof table !== 'object' || Array.isArray(table)) {
    throw new SocketStreamError('INVALID_OPTION', `${where} takes ${wants}, in a table by service`)
  }
  const values = new Map<string, Value>()
  for (const [name, given] of Object.entries(table)) {
    if (name !== '*' && !isServiceName(name)) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `${where}: ${JSON.stringify(name)} is no service's name; give names as in app.service(), or '*'`,
      )
    }
    const value = read(given)
    if (value === undefined) {
      throw new SocketStreamError('INVALID_OPTION', `${where}: \`${name}\` must be ${wants}`)
    }
    values.set(name, value)
  }
  const rest = values.get('*')
  return service => values.get(service) ?? rest
}
