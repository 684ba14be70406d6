/**
 * Whether a method or namespace may not have this name.
 *
 * Reserved are `then`, `constructor`, `prototype`, `toJSON`, `toString`, `valueOf` and whatever
 * begins with `_`, thus `__proto__` too: JavaScript itself asks objects for them, and awaiting, printing or comparing a
 * client must not call. The server refuses them, the client has no such properties.
 */
export function isReserved(name: string): boolean {
  return /^(then|constructor|prototype|toJSON|toString|valueOf)$|^_/.test(name)
}
