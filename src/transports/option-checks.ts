import { SocketStreamError } from '../errors.js'

/** What one option must be, and how to write it rightly. */
export interface OptionRule {
  test(value: unknown): boolean
  /** The values allowed, as in `a port number`. */
  readonly wants: string
  /** The option written rightly, as in `port: 3001`. */
  readonly fix: string
}

/**
 * Refuses unknown options and wrong values; one that is `undefined` counts as not given.
 *
 * @param factory name of the function whose options these are, for the message
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function checkOptions(factory: string, options: object, rules: Record<string, OptionRule>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (!rule) {
      throw new SocketStreamError(
        'INVALID_OPTION',
        `${factory}: there is no option \`${name}\`; the options are ${Object.keys(rules).join(', ')}`,
      )
    }
    if (!rule.test(value)) throw invalidOption(factory, name, value, rule)
  }
}

/** The error for an option with a wrong value: names it, shows the value and the fix. */
export function invalidOption(
  factory: string,
  name: string,
  value: unknown,
  { wants, fix }: Pick<OptionRule, 'wants' | 'fix'>,
): SocketStreamError {
  return new SocketStreamError(
    'INVALID_OPTION',
    `${factory}: option \`${name}\` is ${show(value)}; give ${wants}, as in ${factory}({ ${fix} })`,
  )
}

function show(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return `'${value.slice(0, 40)}' (string)`
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  if (typeof value === 'function') return 'a function'
  return `${String(value)} (${typeof value})`
}
