/** What objects and bigints are to a codec: the same for every codec, in every realm. */

/** What an object is to a codec; NOTHING when it cannot be sent. */
export enum SHAPE {
  NOTHING = 0,
  ARRAY = 1,
  OBJECT = 2,
  SET = 3,
  BYTES = 4,
  DATE = 5,
}

/** Says what an object is to a codec. */
export function shapeOf(value: object): SHAPE {
  if (Array.isArray(value)) return SHAPE.ARRAY
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return SHAPE.OBJECT
  if (value instanceof Uint8Array) return SHAPE.BYTES
  if (value instanceof Date) return Number.isNaN(+value) ? SHAPE.NOTHING : SHAPE.DATE
  if (value instanceof Set) return SHAPE.SET
  // a plain object of another realm: its prototype is the end of the chain and that realm's own
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
    ? SHAPE.OBJECT
    : SHAPE.NOTHING
}

/** Whether a bigint fits a signed or an unsigned integer of 64 bits. */
export function fits64(value: bigint): boolean {
  return value >> 63n === -1n || value >> 64n === 0n
}
