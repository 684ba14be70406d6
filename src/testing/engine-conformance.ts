import type { Engine } from '../engines/engine.js'
import { busPart } from './engine-conformance-bus.js'
import {
  type Capability,
  type EnginePart,
  type EngineSubject,
  withSubject,
} from './engine-conformance-fixture.js'
import { historyPart } from './engine-conformance-history.js'
import { keyValuePart } from './engine-conformance-kv.js'
import { leasePart } from './engine-conformance-lease.js'
import { limiterPart } from './engine-conformance-limiter.js'
import { logPart } from './engine-conformance-log.js'
import { occupancyPart } from './engine-conformance-occupancy.js'
import { presencePart } from './engine-conformance-presence.js'
import { recoveryPart } from './engine-conformance-recovery.js'
import type { TestRunner } from './transport-fixture.js'

export type { EngineSubject } from './engine-conformance-fixture.js'

/**
 * Holds an engine to every MUST of `engine.ts` and of the interfaces of its capabilities.
 *
 * What it lacks is skipped, and the name of the skipped test says why.
 *
 * @param name shown in the report
 * @param setup called once per test, and once before for the capabilities
 * @example engineConformance('memory', () => ({ engine: memory() }), { describe, test, expect })
 */
export function engineConformance(name: string, setup: () => EngineSubject, runner: TestRunner): void {
  const { describe, test, expect } = runner
  const sample = setup()
  const noReopen = sample.reopen === undefined && 'it keeps nothing past its end'

  const run = <Name extends Capability>({ capability, lacking, tests }: EnginePart<Name>) => {
    const isThere = sample.engine[capability] !== undefined
    tests({
      check(title, body, lacks = false) {
        const reason = isThere ? lacks : lacking
        if (reason) test.skip(`${title} (skipped: ${reason})`, async () => undefined)
        else
          test(title, () => withSubject(setup, subject => body(partOf(subject.engine, capability), subject)))
      },
      expect,
      noReopen,
    })
  }

  describe(`${name} as an engine`, () => {
    describe('with a key-value store', () => run(keyValuePart))
    describe('with a log', () => {
      run(logPart)
      run(historyPart)
      run(recoveryPart)
    })
    describe('with presence', () => run(presencePart))
    describe('with occupancy', () => run(occupancyPart))
    describe('with leases', () => run(leasePart))
    describe('with a bus', () => run(busPart))
    describe('with a limiter', () => run(limiterPart))
  })
  void sample.engine.close().then(() => sample.dispose?.())
}

function partOf<Name extends Capability>(engine: Engine, name: Name): NonNullable<Engine[Name]> {
  return engine[name] as NonNullable<Engine[Name]>
}
