import { SocketStreamError } from '../errors.js'
import type { Request } from '../services/service.js'
import { isThenable } from '../thenable.js'
import type { Middleware } from './middleware.js'
import { serviceTable } from './service-table.js'

/** Whether a request may pass: only `true` lets it. A coded error that it throws is the answer. */
export type AuthorizeRule = (req: Request) => boolean | Promise<boolean>

/** Rules by service; `*` is for those that are not listed, which are refused without it. */
export type AuthorizeRules = Readonly<Record<string, AuthorizeRule>>

/**
 * Lets through what a rule allows; everything else is answered `FORBIDDEN`.
 *
 * A rule that waits holds back its own connection's later requests, in order.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * app.use(authorize({
 *   admin: req => req.session.role === 'admin',
 *   '*': req => req.user !== undefined,
 * }))
 */
export function authorize(rules: AuthorizeRule | AuthorizeRules): Middleware {
  const ruleOf =
    typeof rules === 'function'
      ? () => rules
      : serviceTable('authorize()', rules, readRule, 'a function (req) => boolean')
  return (req, res, next) => {
    const decide = (verdict: unknown): void => {
      if (verdict === true) next()
      else res(new SocketStreamError('FORBIDDEN', `The service '${req.service}' does not allow you this`))
    }
    const verdict: unknown = ruleOf(req.service)?.(req)
    return isThenable(verdict) ? verdict.then(decide) : decide(verdict)
  }
}

function readRule(value: unknown): AuthorizeRule | undefined {
  return typeof value === 'function' ? (value as AuthorizeRule) : undefined
}
