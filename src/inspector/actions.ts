import { SocketStreamError } from '../errors.js'
import { actionsFor } from './actor-rows.js'
import { isLevel } from './log-hub.js'
import type { Action, ActionResult, ActorRow } from './protocol/index.js'
import type { Subject } from './source.js'

/**
 * Does what a viewer asks for, and logs who asked for nothing less than that it was done.
 *
 * @throws SocketStreamError `FORBIDDEN` when read-only or for the server's own actors, `NOT_FOUND`,
 *   `INVALID_ARGUMENTS`
 */
export function act(subject: Subject, action: Action): ActionResult {
  if (subject.readOnly) throw forbidden('this inspector only shows: it is mounted with readOnly')
  const message = perform(subject, checked(action))
  subject.broker.log.warn(`inspector: ${message}`)
  return { done: true, message }
}

function perform(subject: Subject, action: Action): string {
  const { broker, logs } = subject
  switch (action.type) {
    case 'closeConnection': {
      const connection = broker.connections.byId.get(text(action.id, 'id'))
      if (connection === undefined) throw notFound(`no open connection has the id ${action.id}`)
      connection.close(
        action.reason === undefined ? 'closed by the inspector' : text(action.reason, 'reason'),
      )
      return `connection ${action.id} closed`
    }
    case 'stopActor':
      actorFor(subject, action.path, 'stop').stop()
      return `${action.path} stopped`
    case 'restartActor':
      actorFor(subject, action.path, 'restart').restartNow()
      return `${action.path} restarted`
    case 'send': {
      const { message } = action
      if (typeof (message as { type?: unknown } | null)?.type !== 'string')
        throw invalid('`message` must be an object with a text as `type`')
      const taken = actorFor(subject, action.path, 'send').tell(message as never)
      if (!taken) throw new SocketStreamError('MAILBOX_FULL', `${action.path} did not take the message`)
      return `${(message as { type: string }).type} sent to ${action.path}`
    }
    case 'publish':
      return publish(subject, action)
    case 'logLevel':
      if (!isLevel(action.level)) throw invalid('`level` is debug, info, warn or error')
      logs.level = action.level
      return `the log has ${action.level} and above from now on`
    default:
      throw invalid(`there is no action ${JSON.stringify((action as { type?: unknown }).type)}`)
  }
}

function publish({ api }: Subject, action: Action & { readonly type: 'publish' }): string {
  const service = text(action.service, 'service')
  const { publish } = ((Object.hasOwn(api, service) ? api[service] : undefined) ?? {}) as {
    publish?: { channel?(channel: string, event: string, ...args: readonly unknown[]): unknown }
  }
  if (typeof publish?.channel !== 'function')
    throw notFound(`service "${service}" has no channels to publish to`)
  const args: unknown = action.args
  if (!Array.isArray(args)) throw invalid('`args` must be a list')
  publish.channel(text(action.channel, 'channel'), text(action.event, 'event'), ...args)
  return `${action.event} published to ${action.channel} of ${service}`
}

function actorFor({ broker }: Subject, path: unknown, what: ActorRow['actions'][number]) {
  const ref = broker.system.find(text(path, 'path'))
  if (ref === undefined) throw notFound(`there is no actor ${path}`)
  if (!actionsFor(ref).includes(what))
    throw forbidden(`${path} is the server's own: it cannot be told to ${what}`)
  return ref
}

function checked(action: unknown): Action {
  if (typeof action === 'object' && action !== null) return action as Action
  throw invalid('an action is an object with a `type`')
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value.length <= 1000) return value
  throw invalid(`\`${name}\` must be a text of at most 1,000 characters`)
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message)
}

function notFound(message: string): SocketStreamError {
  return new SocketStreamError('NOT_FOUND', message)
}

function forbidden(message: string): SocketStreamError {
  return new SocketStreamError('FORBIDDEN', message)
}
