import { useEffect, useState } from 'preact/hooks'

interface Notice {
  readonly text: string
  readonly bad: boolean
}

let show: (notice: Notice) => void = () => {}

/** Says something to the viewer, at the bottom of the page. */
export function say(text: string, bad = false): void {
  show({ text, bad })
}

/** Where it is said; read out by screen readers. Stays until it is closed or something else is said. */
export function Notices() {
  const [notice, setNotice] = useState<Notice>()
  useEffect(() => {
    show = setNotice
  }, [])
  return (
    <div class={`notice${notice?.bad ? ' bad' : ''}`} role="status" hidden={notice === undefined}>
      <span>{notice?.text}</span>
      <button type="button" aria-label="Close this notice" onClick={() => setNotice(undefined)}>
        ×
      </button>
    </div>
  )
}
