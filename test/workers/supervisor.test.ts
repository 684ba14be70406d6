import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLogger } from '../../src/log.js'
import { manualClock } from '../../src/testing/index.js'
import { Supervisor } from '../../src/workers/supervisor.js'
import type { Ended, WorkerProcess } from '../../src/workers/worker.js'

/** A process that does what the test says. */
class FakeProcess implements WorkerProcess {
  readonly signals: string[] = []
  readonly listening: Promise<void>
  readonly ended: Promise<Ended>
  isListening = false
  isOver = false
  #listen!: () => void
  #end!: (ended: Ended) => void

  constructor(readonly pid: number) {
    this.listening = new Promise(resolve => {
      this.#listen = resolve
    })
    this.ended = new Promise(resolve => {
      this.#end = resolve
    })
  }

  listen(): void {
    this.isListening = !this.isOver
    this.#listen()
  }

  end(code: number | null = 0, signal: string | null = null): void {
    this.isOver = true
    this.isListening = false
    this.#end({ code, signal })
  }

  kill(signal: string): void {
    this.signals.push(signal)
  }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

function setUp(count: number) {
  const clock = manualClock()
  const processes: FakeProcess[] = []
  const lines: string[] = []
  const supervisor = new Supervisor({
    count,
    patience: 1000,
    clock,
    log: createLogger(line => void lines.push(String(line)), 'workers'),
    fork: () => {
      const made = new FakeProcess(processes.length + 1)
      processes.push(made)
      return made
    },
  })
  const running = async () => {
    const started = supervisor.start()
    for (const each of processes) each.listen()
    await started
  }
  return { supervisor, clock, processes, lines, running }
}

describe('a supervisor of workers', () => {
  test('is ready when all listen', async () => {
    const { supervisor, processes } = setUp(2)
    let isReady = false
    const started = supervisor.start().then(() => {
      isReady = true
    })
    processes[0]!.listen()
    await turn()
    expect([isReady, supervisor.workers]).toEqual([
      false,
      [
        { pid: 1, listens: true },
        { pid: 2, listens: false },
      ],
    ])
    processes[1]!.listen()
    await started
  })

  test('gives up, and ends the others, when one ends before it listens', async () => {
    const { supervisor, processes } = setUp(2)
    const failed = supervisor.start().catch(error => error.code)
    processes[0]!.listen()
    processes[1]!.end(1)
    await turn()
    expect(processes[0]!.signals).toEqual(['SIGTERM'])
    processes[0]!.end()
    expect(await failed).toBe('WORKER_FAILED')
    expect(processes.length).toBe(2)
  })

  test('begins one anew that has crashed, later each time, and soon again after it has run well', async () => {
    const { clock, processes, running } = setUp(1)
    await running()
    const delays: number[] = []
    for (let crash = 0; crash < 11; crash++) {
      const { length } = processes
      processes.at(-1)!.end(1)
      await turn()
      let waited = 0
      for (; processes.length === length; waited += 50) clock.advance(50)
      delays.push(waited)
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
    clock.advance(60_000)
    processes.at(-1)!.end(null, 'SIGKILL')
    await turn()
    clock.advance(100)
    expect(processes.length).toBe(13)
  })

  test('replaces one after the other, each only once the new one listens', async () => {
    const { supervisor, processes, running } = setUp(2)
    await running()
    const restarted = supervisor.restart()
    expect([processes.length, processes[0]!.signals]).toEqual([3, []])
    processes[2]!.listen()
    await turn()
    expect([processes.length, processes[0]!.signals]).toEqual([3, ['SIGTERM']])
    processes[0]!.end()
    await turn()
    processes[3]!.listen()
    await turn()
    processes[1]!.end()
    await restarted
    expect(supervisor.workers.map(({ pid }) => pid)).toEqual([3, 4])
    expect(processes.length).toBe(4)
  })

  test('keeps the old ones when a new one does not come to listen', async () => {
    const { supervisor, processes, running } = setUp(2)
    await running()
    const failed = supervisor.restart().catch(error => error.code)
    processes[2]!.end(1)
    expect(await failed).toBe('WORKER_FAILED')
    expect(supervisor.workers.map(({ pid }) => pid)).toEqual([1, 2])
    expect([processes[0]!.signals, processes[1]!.signals]).toEqual([[], []])
  })

  test('kills who does not end in time, and begins nothing anew once it stops', async () => {
    const { supervisor, clock, processes, running } = setUp(2)
    await running()
    processes[0]!.end(1)
    await turn()
    const stopped = supervisor.stop()
    clock.advance(999)
    expect(processes[1]!.signals).toEqual(['SIGTERM'])
    clock.advance(1)
    expect(processes[1]!.signals).toEqual(['SIGTERM', 'SIGKILL'])
    processes[1]!.end(null, 'SIGKILL')
    await stopped
    clock.advance(60_000)
    expect([processes.length, clock.timers]).toEqual([2, 0])
    expect(await supervisor.restart().catch(error => error.code)).toBe('INVALID_STATE')
  })

  test('is never without a listener while it restarts, and leaves nobody behind, whatever happens when', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('restart', 'crash', 'listen', 'end', 'wait', 'fail'), { maxLength: 40 }),
        async steps => {
          const { supervisor, clock, processes, running } = setUp(2)
          await running()
          let crashed = false
          for (const step of steps) {
            const pids = new Set(supervisor.workers.map(({ pid }) => pid))
            if (step === 'restart') supervisor.restart().catch(() => undefined)
            if (step === 'listen') for (const each of processes) if (!each.isOver) each.listen()
            if (step === 'end') for (const each of processes) if (each.signals.length > 0) each.end()
            if (step === 'wait') clock.advance(500)
            if (step === 'fail') processes.find(each => !pids.has(each.pid) && !each.isOver)?.end(1)
            if (step === 'crash') {
              crashed = true
              processes.find(each => pids.has(each.pid))?.end(1)
            }
            await turn()
            const listening = processes.filter(each => each.isListening && each.signals.length === 0)
            if (!crashed) expect(listening.length).toBeGreaterThan(0)
            expect(listening.length).toBeLessThanOrEqual(3)
          }
          const stopped = supervisor.stop()
          for (let i = 0; i < 5; i++) {
            for (const each of processes) if (!each.isOver && each.signals.length > 0) each.end()
            for (const each of processes) if (!each.isOver) each.listen()
            await turn()
          }
          await stopped
          expect(processes.filter(each => !each.isOver)).toEqual([])
          expect(clock.timers).toBe(0)
        },
      ),
      { numRuns: 50 },
    ))
})
