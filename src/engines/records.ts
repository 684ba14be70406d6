/** What leases and limits need to keep of a name: a number and a text, until they are over. */
export interface RecordOf {
  readonly number: number
  readonly text: string
  /** By the clock of the engine, in milliseconds. */
  readonly expires: number
}

/** What one step sees. */
export interface Standing {
  /** What stands there, unless its time is over. */
  readonly record: RecordOf | undefined
  readonly now: number
  /** A number greater than every one given before, also by another process and before a restart. */
  next(): number
}

/** What one step leaves: `record` to stand from now on, null for none, or undefined for what stood there. */
export interface Outcome<Result> {
  readonly result: Result
  readonly record?: RecordOf | null | undefined
}

/**
 * Names with small records, changed in steps of which each sees what the one before has left.
 *
 * Leases and limits are written once, on this; each embedded engine brings its own.
 */
export interface Records {
  read(name: Buffer): Promise<{ readonly record: RecordOf | undefined; readonly now: number }>
  /** Runs a step, which MUST NOT throw. */
  change<Result>(name: Buffer, step: (standing: Standing) => Outcome<Result>): Promise<Result>
}
