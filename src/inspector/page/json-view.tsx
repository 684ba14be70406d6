import type { Json } from '../protocol/index.js'

/** A value as text; what was cut stands as `…reason`. */
export function textOf(value: Json | undefined): string {
  if (value === undefined) return ''
  return JSON.stringify(value, (_key, inner: unknown) => cutOf(inner) ?? inner, 2)
}

function cutOf(value: unknown): string | undefined {
  const why = typeof value === 'object' && value !== null ? (value as { '…'?: unknown })['…'] : undefined
  return typeof why === 'string' ? `… ${why}` : undefined
}

/** A value, whole; scrolls in itself. */
export function JsonView({ label, value }: { readonly label: string; readonly value: Json | undefined }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: which has a name then
    <pre class="json" tabIndex={0} aria-label={label}>
      {textOf(value)}
    </pre>
  )
}
