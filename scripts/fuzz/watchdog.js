/**
 * A thread that watches the one which fuzzes: when no input ends for too long, it tells which one that is and where
 * the code stands, and ends the process.
 *
 * Time is the process's CPU time, as a busy machine is no fault; many times that much by the clock for what waits idly.
 */
import { writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { workerData } from 'node:worker_threads'

/** @typedef {{ progress: Int32Array, seconds: number }} Watched `progress[0]` changes with each input */

const { progress, seconds } = /** @type {Watched} */ (workerData)
/** By the clock, for each second of CPU time. */
const IDLE = 10
/** Milliseconds between looks. */
const LOOK = Math.min(1000, seconds * 250)
/** Milliseconds in which the other thread says what it is at. */
const ANSWER = 2000
/** Frames of the stack that are told. */
const DEPTH = 12

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
const now = () => performance.now() / 1000

let seen = Atomics.load(progress, 0)
let since = { cpu: cpu(), now: now() }
const looks = setInterval(() => {
  const count = Atomics.load(progress, 0)
  if (count !== seen) {
    seen = count
    since = { cpu: cpu(), now: now() }
    return
  }
  const spent = cpu() - since.cpu
  if (spent < seconds && now() - since.now < seconds * IDLE) return
  clearInterval(looks)
  tell(
    `no input has ended for ${spent.toFixed(1)} s of CPU time, ${(now() - since.now).toFixed(1)} s by the clock`,
  )
  ask()
}, LOOK)

/** Has the other thread say what it is at, in the middle of whatever it does. */
function ask() {
  const session = new Session()
  session.connectToMainThread()
  session.post('Runtime.evaluate', { expression: 'fuzzing()', returnByValue: true }, (_error, answer) => {
    tell(`the input: ${answer?.result.value}`)
  })
  session.post('Debugger.enable')
  session.on('Debugger.paused', ({ params: { callFrames } }) => {
    for (const { functionName, url, location } of callFrames.slice(0, DEPTH)) {
      tell(
        `  at ${functionName || '(anonymous)'} (${url}:${location.lineNumber + 1}:${location.columnNumber ?? 0})`,
      )
    }
    end()
  })
  session.post('Debugger.pause')
  setTimeout(end, ANSWER)
}

/** @param {string} line */
function tell(line) {
  // The streams of a thread need the other one.
  writeSync(2, `${line}\n`)
}

function end() {
  process.kill(process.pid, 'SIGKILL')
}
