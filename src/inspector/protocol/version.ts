/** Version of these shapes; a page of another one says so instead of guessing. */
export const PROTOCOL_VERSION = 1
