import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Changes, type LivereloadMessage } from '../../../src/services/livereload/changes.js'
import { manualClock } from '../../../src/testing/index.js'

function collect(interval = 1000) {
  const clock = manualClock()
  const sent: { at: number; message: LivereloadMessage }[] = []
  const changes = new Changes({
    clock,
    interval,
    send: message => sent.push({ at: clock.now(), message }),
  })
  return { clock, changes, sent, messages: () => sent.map(({ message }) => message) }
}

const reload = { reload: true }

describe('the first change', () => {
  test('is sent 50 ms after it', () => {
    const { clock, changes, sent } = collect()
    changes.add('style.css')
    clock.advance(49)
    expect(sent).toEqual([])
    clock.advance(1)
    expect(sent).toEqual([{ at: 50, message: { css: ['style.css'] } }])
  })

  test('goes with what comes within 50 ms of one another', () => {
    const { clock, changes, sent } = collect()
    for (const name of ['a.css', 'b.css', 'a.css']) {
      changes.add(name)
      clock.advance(40)
    }
    clock.advance(10)
    expect(sent).toEqual([{ at: 130, message: { css: ['a.css', 'b.css'] } }])
  })

  test('waits no longer than the interval for a file that never rests', () => {
    const { clock, changes, sent } = collect()
    for (let i = 0; i < 60; i++) {
      changes.add('a.css')
      clock.advance(40)
    }
    expect(sent.map(({ at }) => at)).toEqual([1000, 2000])
  })
})

describe('a message', () => {
  test.each([
    ['style sheets only', ['a.css', 'b/c.CSS'], { css: ['a.css', 'b/c.CSS'] }],
    ['a page', ['index.html'], reload],
    ['a style sheet and a page', ['a.css', 'index.html'], reload],
    ['a page and a style sheet', ['index.html', 'a.css'], reload],
    ['a map', ['a.css.map'], reload],
    ['a file named css', ['css'], reload],
  ])('of %s is what it should be', (_what, names, message) => {
    const { clock, changes, messages } = collect()
    for (const name of names) changes.add(name)
    clock.advance(50)
    expect(messages()).toEqual([message])
  })

  test('of a style sheet that is gone is a reload', () => {
    const { clock, changes, messages } = collect()
    changes.add('a.css', true)
    clock.advance(50)
    expect(messages()).toEqual([reload])
  })

  test('forgets what the one before has told', () => {
    const { clock, changes, messages } = collect()
    changes.add('index.html')
    clock.advance(50)
    changes.add('a.css')
    clock.advance(1000)
    expect(messages()).toEqual([reload, { css: ['a.css'] }])
  })

  test('names 100 style sheets at the most', () => {
    const { clock, changes, messages } = collect()
    for (let i = 0; i < 100; i++) changes.add(`${i}.css`)
    clock.advance(50)
    expect(messages()).toMatchObject([{ css: { length: 100 } }])
    for (let i = 0; i < 101; i++) changes.add(`${i}.css`)
    clock.advance(1000)
    expect(messages()[1]).toEqual(reload)
  })
})

describe('many changes', () => {
  test('at once are one message', () => {
    const { clock, changes, sent } = collect()
    for (let i = 0; i < 10_000; i++) changes.add(`${i}.js`)
    expect(clock.timers).toBe(1)
    clock.advance(60_000)
    expect(sent).toEqual([{ at: 250, message: reload }])
  })

  test('with pauses, as in a checkout, are one message at their end', () => {
    const { clock, changes, sent } = collect()
    for (let i = 0; i < 10_000; i++) {
      changes.add(`${i}.js`)
      if (i % 500 === 499) clock.advance(200)
    }
    clock.advance(60_000)
    expect(sent).toEqual([{ at: 19 * 200 + 250, message: reload }])
  })

  test('that do not end are told of after 5 seconds', () => {
    const { clock, changes, sent } = collect()
    for (let i = 0; i < 8000; i++) {
      changes.add(`${i}.js`)
      clock.advance(1)
    }
    expect(sent.map(({ at }) => at)).toEqual([5000])
  })
})

describe('the next message', () => {
  test('comes when the interval has passed since the last', () => {
    const { clock, changes, sent } = collect()
    changes.add('a.css')
    clock.advance(50)
    changes.add('b.css')
    clock.advance(500)
    changes.add('c.css')
    clock.advance(499)
    expect(sent).toHaveLength(1)
    clock.advance(1)
    expect(sent[1]).toEqual({ at: 1050, message: { css: ['b.css', 'c.css'] } })
  })

  test('does not come once stopped', () => {
    const { clock, changes, sent } = collect()
    changes.add('a.css')
    changes.stop()
    expect(clock.timers).toBe(0)
    clock.advance(10_000)
    expect(sent).toEqual([])
  })

  test('comes in time when timers come early', () => {
    const { clock, changes, sent } = collect()
    const early = { ...clock, setTimeout: (run: () => void, ms: number) => clock.setTimeout(run, ms - 0.4) }
    const other = new Changes({
      clock: early,
      interval: 1000,
      send: message => sent.push({ at: 0, message }),
    })
    changes.stop()
    other.add('a.css')
    clock.advance(49.6)
    expect(sent).toEqual([])
    clock.advance(1)
    expect(sent).toHaveLength(1)
    expect(clock.timers).toBe(0)
  })
})

test('nothing is lost, nothing made up, and no interval has two messages', () => {
  const step = fc.record({
    name: fc.constantFrom('a.css', 'b.css', 'c/d.css', 'index.html'),
    removed: fc.boolean(),
    times: fc.constantFrom(1, 1, 1, 2, 60, 150),
    pause: fc.constantFrom(0, 1, 30, 49, 50, 51, 240, 999, 1000, 1001, 7000),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.array(step, { maxLength: 40 }), (interval, steps) => {
      const { clock, changes, sent } = collect(interval)
      const made: { at: number; name: string; removed: boolean; before: number }[] = []
      for (const { name, removed, times, pause } of steps) {
        for (let i = 0; i < times; i++) {
          made.push({ at: clock.now(), name, removed, before: sent.length })
          changes.add(name, removed)
        }
        clock.advance(pause)
      }
      clock.advance(interval + 10_000)
      expect(clock.timers).toBe(0)

      for (let i = 1; i < sent.length; i++) {
        expect(sent[i]!.at - sent[i - 1]!.at).toBeGreaterThanOrEqual(interval)
      }
      sent.forEach(({ at, message }, index) => {
        const told = made.filter(({ before }) => before === index)
        const pages = told.some(({ name, removed }) => removed || !name.endsWith('.css'))
        expect(message).toEqual(pages ? reload : { css: [...new Set(told.map(({ name }) => name))] })
        expect(at - told[0]!.at).toBeLessThanOrEqual(Math.max(interval, 5000))
      })
      expect(made.filter(({ before }) => before >= sent.length)).toEqual([])
    }),
  )
})
