/** Names that JavaScript itself asks objects for: awaiting, printing or comparing a client must not call. */
const RESERVED = /^(then|constructor|prototype|toJSON|toString|valueOf)$|^_/

/**
 * Whether a method or namespace may not have this name.
 *
 * Reserved are `then`, `constructor`, `prototype`, `toJSON`, `toString`, `valueOf` and whatever
 * begins with `_`, thus `__proto__` too. The server refuses them, the client has no such properties.
 */
export function isReserved(name: string): boolean {
  return RESERVED.test(name)
}
