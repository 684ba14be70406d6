import { describe, expect, test } from 'vitest'
import { createActor, getNextSnapshot } from 'xstate'
import {
  type ConnectionEvent,
  type ConnectionState,
  FIRST_STATE,
  lifecycle,
  lifecycleDiagram,
  step,
} from '../../src/actors/connection-lifecycle.js'
import { blocksOf, readPage } from '../docs/markdown.js'

const states = Object.keys(lifecycle.states) as ConnectionState[]
const events = lifecycle.events as ConnectionEvent[]

/** Where the machine goes from a state by an event, or undefined where it ignores that. */
function played(state: ConnectionState, type: ConnectionEvent): ConnectionState | undefined {
  const before = lifecycle.resolveState({ value: state })
  if (!before.can({ type })) return undefined
  return getNextSnapshot(lifecycle, before, { type }).value as ConnectionState
}

describe('the lifecycle of a connection', () => {
  test('steps as its machine does, and refuses what that ignores', () => {
    expect(states).toHaveLength(7)
    expect(events).toHaveLength(8)
    for (const state of states) {
      for (const event of events) {
        const next = played(state, event)
        if (next !== undefined) expect(step(state, event)).toBe(next)
        else expect(() => step(state, event)).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
      }
    }
  })

  test('reaches every state from its beginning, and its end from every state', () => {
    const reached = (from: ConnectionState): Set<ConnectionState> => {
      const seen = new Set([from])
      for (const state of seen) {
        for (const event of events) {
          const next = played(state, event)
          if (next !== undefined) seen.add(next)
        }
      }
      return seen
    }
    expect(createActor(lifecycle).start().getSnapshot().value).toBe(FIRST_STATE)
    expect([...reached(FIRST_STATE)].sort()).toEqual([...states].sort())
    for (const state of states) expect(reached(state)).toContain('closed')
  })

  test('is drawn in docs/delivery.md as it is', () => {
    const drawn = blocksOf(readPage('docs/delivery.md')).find(({ language }) => language === 'mermaid')
    expect(drawn?.code.trimEnd()).toBe(lifecycleDiagram())
  })
})
