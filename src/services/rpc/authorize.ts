import { SocketStreamError } from '../../errors.js'
import { isThenable } from '../../thenable.js'
import type { Request } from '../service.js'
import type { CallPayload } from './payload.js'

/** Whether a call may be made: only `true` lets it. A coded error that it throws is the answer. */
export type RpcRule = (req: Request, ...args: unknown[]) => boolean | Promise<boolean>

/** One rule for all methods, or a table of rules; `*` is for those that are not listed, refused without it. */
export type RpcRules = RpcRule | { readonly [method: string]: RpcRule }

/** The check of a call: true, or what resolves to it, lets it pass. */
export type RpcCheck = (request: Request, payload: CallPayload) => unknown

/**
 * Compiles the option `authorize`.
 *
 * The rule with the longest name that fits a method decides: its own, those of its namespaces, `*`.
 *
 * @param known the methods that there are; undefined when they are found later
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function compileRules(rules: unknown, known: ReadonlyMap<string, unknown> | undefined): RpcCheck {
  if (typeof rules === 'function') {
    const rule = rules as RpcRule
    return (request, [, ...args]) => rule(request, ...args)
  }
  if (rules === null || typeof rules !== 'object' || Array.isArray(rules)) {
    throw invalid('`authorize` must be a function, or functions by method')
  }
  const table = new Map(Object.entries(rules))
  for (const [name, rule] of table) {
    if (typeof rule !== 'function') throw invalid(`\`authorize\` of '${name}' must be a function`)
    if (known !== undefined && !fits(name, known)) {
      throw invalid(`\`authorize\` names '${name}', which is no method and no namespace`)
    }
  }
  return (request, [method, ...args]) => {
    const rule = ruleOf(method, table as ReadonlyMap<string, RpcRule>)
    return rule?.(request, ...args)
  }
}

/**
 * Goes on with a call that its rule lets pass, at once unless the rule waits.
 *
 * @throws SocketStreamError `FORBIDDEN`, and what the rule throws
 */
export function authorized(
  check: RpcCheck,
  request: Request,
  payload: CallPayload,
  goOn: () => void,
): Promise<void> | undefined {
  const decide = (verdict: unknown): void => {
    // Nobody is told whether there is such a method.
    if (verdict !== true) throw new SocketStreamError('FORBIDDEN', 'You are not allowed to call this')
    goOn()
  }
  const verdict = check(request, payload)
  if (isThenable(verdict)) return Promise.resolve(verdict).then(decide)
  decide(verdict)
  return undefined
}

function ruleOf(method: string, table: ReadonlyMap<string, RpcRule>): RpcRule | undefined {
  // A client can send `a.*`, which is a rule's name and no method's.
  const own = method.endsWith('*') ? undefined : table.get(method)
  if (own !== undefined) return own
  for (let dot = method.lastIndexOf('.'); dot > 0; dot = method.lastIndexOf('.', dot - 1)) {
    const rule = table.get(`${method.slice(0, dot)}.*`)
    if (rule !== undefined) return rule
  }
  return table.get('*')
}

function fits(name: string, known: ReadonlyMap<string, unknown>): boolean {
  if (name === '*' || known.has(name)) return true
  return name.endsWith('.*') && [...known.keys()].some(method => method.startsWith(name.slice(0, -1)))
}

function invalid(what: string): SocketStreamError {
  return new SocketStreamError(
    'INVALID_OPTION',
    `rpc: ${what}; give rpc(handlers, { authorize: { 'seats.*': req => req.user !== undefined } })`,
  )
}
