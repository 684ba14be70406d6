import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Action } from '../protocol/index.js'
import { messageOf, useLiveSource } from './hooks.js'
import { say } from './notice.js'

/** Asks before something is done; the browser's own dialog keeps the focus and closes with Escape. */
function Confirm(props: {
  readonly title: string
  readonly children: ComponentChildren
  readonly verb: string
  readonly onDone: (confirmed: boolean) => void
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const confirmed = useRef(false)
  // Closed by its own method, so that the focus goes back to where it was.
  const close = (yes: boolean): void => {
    confirmed.current = yes
    dialog.current?.close()
  }
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} aria-label={props.title} onClose={() => props.onDone(confirmed.current)}>
      <h2>{props.title}</h2>
      <div class="dialog-body">{props.children}</div>
      <div class="buttons">
        <button type="button" onClick={() => close(false)}>
          Cancel
        </button>
        <button type="button" class="primary" onClick={() => close(true)}>
          {props.verb}
        </button>
      </div>
    </dialog>
  )
}

/** Why nothing can be done, if so. */
export function whyNot({ status, hello }: ReturnType<typeof useLiveSource>): string | undefined {
  if (status === 'offline') return 'this is a file'
  if (status !== 'connected') return 'not connected'
  return hello?.readOnly ? 'this inspector is read-only' : undefined
}

/**
 * A button that does something to the server, once it was confirmed.
 *
 * @param action makes the action at the press; throws what is wrong with the input
 * @param not why it cannot be pressed, besides what is true of all
 */
export function ActionButton(props: {
  readonly label: string
  readonly what: string
  readonly action: () => Action
  readonly not?: string | undefined
}) {
  const source = useLiveSource()
  const [action, setAction] = useState<Action>()
  const not = whyNot(source) ?? props.not
  const press = (): void => {
    try {
      setAction(props.action())
    } catch (error) {
      say(messageOf(error), true)
    }
  }
  const done = (confirmed: boolean): void => {
    setAction(undefined)
    if (!confirmed || action === undefined) return
    source.api.act(action).then(
      ({ message }) => say(`Done: ${message}`),
      error => say(`Not done: ${messageOf(error)}`, true),
    )
  }
  return (
    <>
      <button type="button" disabled={not !== undefined} title={not && `Not now: ${not}`} onClick={press}>
        {props.label}
      </button>
      {action && (
        <Confirm title={`${props.label}?`} verb={props.label} onDone={done}>
          <p>{props.what}</p>
        </Confirm>
      )}
    </>
  )
}
