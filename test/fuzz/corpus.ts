/** An input as JSON: bytes as hex, what JSON lacks as `null`. */
export function keep(input: unknown): unknown {
  return JSON.parse(
    JSON.stringify(input, (_key, value: unknown) =>
      value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : unbuffered(value),
    ),
  )
}

/** The input again. */
export function revive(kept: unknown): unknown {
  return JSON.parse(JSON.stringify(kept), (_key, value: unknown) => {
    const { hex } = (value ?? {}) as { hex?: unknown }
    return typeof hex === 'string' ? Uint8Array.from(Buffer.from(hex, 'hex')) : value
  })
}

/** A Buffer has a `toJSON` of its own, which is asked before the replacer. */
function unbuffered(value: unknown): unknown {
  const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown }
  return type === 'Buffer' && Array.isArray(data)
    ? { hex: Buffer.from(data as number[]).toString('hex') }
    : value
}
