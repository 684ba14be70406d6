/**
 * Any JSON value, redacted and cut. An object with the one key `…` stands for what was left out:
 *
 * - `redacted`: a rule hides it
 * - `deep`, `long`, `bytes`, `circular`, `function`, `class`: why there is no more of it
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }
