import { describe, expect, test } from 'vitest'
import { createMachine, getNextSnapshot, initialTransition } from 'xstate'
import {
  type ConnectionEvent,
  type ConnectionState,
  LIFECYCLE,
  lifecycleDiagram,
  step,
} from '../../src/actors/connection-lifecycle.js'
import { blocksOf, readPage } from '../docs/markdown.js'

const states = Object.keys(LIFECYCLE) as ConnectionState[]
const events = [...new Set(states.flatMap(state => Object.keys(LIFECYCLE[state])))] as ConnectionEvent[]

/** The same table as an XState machine. */
const machine = createMachine({
  initial: 'connecting',
  states: Object.fromEntries(
    Object.entries(LIFECYCLE).map(([state, steps]) => [
      state,
      state === 'closed' ? { type: 'final' as const } : { on: steps },
    ]),
  ),
})

describe('the lifecycle of a connection', () => {
  test('steps as an XState machine of the same table does, and refuses what that ignores', () => {
    for (const state of states) {
      for (const event of events) {
        const before = machine.resolveState({ value: state })
        const after = getNextSnapshot(machine, before, { type: event })
        if (event in LIFECYCLE[state]) expect(step(state, event)).toBe(after.value)
        else {
          expect(after.value).toBe(state)
          expect(() => step(state, event)).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
        }
      }
    }
  })

  test('reaches every state from its beginning, and its end from every state', () => {
    const reached = (from: ConnectionState): Set<string> => {
      const seen = new Set<string>([from])
      for (const state of seen)
        for (const next of Object.values(LIFECYCLE[state as ConnectionState])) seen.add(next)
      return seen
    }
    const [first] = initialTransition(machine)
    expect(first.value).toBe('connecting')
    expect([...reached('connecting')].sort()).toEqual([...states].sort())
    for (const state of states) expect(reached(state)).toContain('closed')
  })

  test('is drawn in docs/delivery.md as it is', () => {
    const drawn = blocksOf(readPage('docs/delivery.md')).find(({ language }) => language === 'mermaid')
    expect(drawn?.code.trimEnd()).toBe(lifecycleDiagram())
  })
})
