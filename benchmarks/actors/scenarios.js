/**
 * The scenarios of `actors`, in the order they run.
 */
import { forkJoin, forkJoinInside } from './fork-join.js'
import { machineService } from './machine-service.js'
import { memory } from './memory.js'
import { pingPong } from './ping-pong.js'
import { ring } from './ring.js'
import { skynet } from './skynet.js'
import { spawning, spawningMany } from './spawn.js'
import { stopping } from './stop.js'
import { tell } from './tell.js'

/**
 * One thing done twice: by the actor kit, and by XState without it.
 *
 * Either side gets the size, prepares, and gives a function that does one round.
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {any} full its size
 * @property {any} quick its size in a quick run
 * @property {(size: any) => readonly Line[]} lines of the table
 * @property {(size: any) => Round | Promise<Round>} ours
 * @property {(size: any) => Round | Promise<Round>} bare
 *
 * @typedef {() => Values | Promise<Values>} Round
 * @typedef {Record<string, number>} Values what a round measured, by name
 *
 * @typedef {object} Line
 * @property {string} label
 * @property {string} value which of the values
 * @property {Unit} unit
 * @property {Target} [target]
 *
 * @typedef {'/s' | 'µs each' | 'bytes' | 'times'} Unit times: how many times as long
 *
 * @typedef {object} Target
 * @property {'ours' | 'ratio'} of our value, or ours divided by that of bare XState
 * @property {'least' | 'most'} at
 * @property {number} limit
 */

/** @type {readonly Scenario[]} */
export const scenarios = [
  tell,
  pingPong,
  ring,
  forkJoin,
  forkJoinInside,
  skynet,
  spawning,
  spawningMany,
  stopping,
  memory,
  machineService,
]
