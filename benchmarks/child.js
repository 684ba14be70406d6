import { fork } from 'node:child_process'

/** Whether children write a profile when they end by themselves, as the flags of this process are theirs, too. */
const PROFILED = process.execArgv.some(flag => /^--(cpu|heap)-prof/.test(flag))

/** Milliseconds that a child has to end by itself. */
const LAST_WORDS = 2000

/** All that have not been stopped: they end with this process. @type {Set<import('node:child_process').ChildProcess>} */
const living = new Set()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** A child process that is asked things, one at a time, and dies with its parent. */
export class Child {
  #name
  #process
  /** Rejects when the child has ended before it was stopped. @type {Promise<never>} */
  #failed

  /**
   * @param {string} name for messages
   * @param {URL} script
   * @param {string[]} [args]
   * @param {string[]} [flags] for Node
   */
  constructor(name, script, args = [], flags = []) {
    this.#name = name
    this.#process = fork(script, args, {
      execArgv: [...process.execArgv, ...flags],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#failed = new Promise((_, reject) => {
      this.#process.once('error', reject)
      this.#process.once('exit', code => reject(new Error(`${name} ended (${code})`)))
    })
    this.#failed.catch(() => {})
    living.add(this.#process)
  }

  /**
   * Waits for the next message.
   *
   * @param {number} patience milliseconds
   * @returns {Promise<any>}
   */
  async next(patience) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.#name} did not answer in ${patience} ms`)), patience)
    })
    const answer = new Promise(resolve => {
      this.#process.once('message', resolve)
    })
    try {
      return await Promise.race([answer, late, this.#failed])
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Sends a message and waits for the answer.
   *
   * @param {object} message
   * @param {number} patience milliseconds
   * @returns {Promise<any>}
   */
  ask(message, patience) {
    const answer = this.next(patience)
    this.#process.send(message)
    return answer
  }

  /** Ends it. */
  stop() {
    living.delete(this.#process)
    this.#process.removeAllListeners('exit')
    // All of them exit when they lose their parent, and end what they have started.
    if (this.#process.connected) this.#process.disconnect()
    if (!PROFILED) setTimeout(() => this.#process.kill('SIGKILL'), LAST_WORDS).unref()
  }
}
