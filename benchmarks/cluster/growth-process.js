/** The process that publishes to a channel that several others hear: measures the CPU of each. */
import { fork } from 'node:child_process'
import { connect, sides } from './sides.js'
import { taken } from './taken.js'

const AHEAD = 1000

const [, nodes = '1', size = '{}'] = process.argv.slice(2)
const { messages, ports } = JSON.parse(size)
const port = ports[nodes]
const { publish } = await sides.log(port)
const asker = await connect(port)

/** One that hears, and how far it is. */
class Receiver {
  heard = 0
  child = fork(new URL('receiver.js', import.meta.url), ['log', `${port}`], { execArgv: [] })
  /** @type {((message: any) => void) | undefined} */
  answered
  ready = new Promise(resolve => {
    this.child.on('message', (/** @type {any} */ message) => {
      if (message.ready) return resolve(undefined)
      if (message.count === undefined) return this.answered?.(message)
      this.heard = message.count
      wake?.()
    })
  })

  /** @returns {Promise<number>} microseconds of CPU since it was asked last */
  cpu() {
    return new Promise(resolve => {
      this.answered = ({ cpu }) => resolve(cpu)
      this.child.send({})
    })
  }
}

/** @type {(() => void) | undefined} */
let wake
const receivers = Array.from({ length: Number(nodes) }, () => new Receiver())
await Promise.all(receivers.map(({ ready }) => ready))
let sent = 0

/** @param {number} most messages that may not have been heard by all yet */
async function caughtUp(most) {
  while (receivers.some(({ heard }) => sent - heard > most)) {
    await new Promise(resolve => {
      wake = () => resolve(undefined)
    })
  }
}

process.on('message', async () => {
  await Promise.all(receivers.map(receiver => receiver.cpu()))
  const before = await taken(asker)
  const cpu = process.cpuUsage()
  for (let i = 0; i < messages; i++) {
    sent++
    publish('room')?.catch(error => console.error(error))
    if (i % 250 !== 249) continue
    await caughtUp(AHEAD)
    await new Promise(resolve => setImmediate(resolve))
  }
  await caughtUp(0)
  const { user, system } = process.cpuUsage(cpu)
  const redis = (await taken(asker)).cpu - before.cpu
  const hearing = await Promise.all(receivers.map(receiver => receiver.cpu()))
  const receiver = hearing.reduce((sum, one) => sum + one, 0) / receivers.length
  process.send?.({
    publisher: (user + system) / messages,
    redis: redis / messages,
    receiver: receiver / messages,
  })
})
process.on('disconnect', () => process.exit())
process.once('exit', () => {
  for (const { child } of receivers) child.kill('SIGKILL')
})
process.send?.({ ready: true })
