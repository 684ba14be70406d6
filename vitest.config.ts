import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Set by `.ci/run`: the file for the results. */
const results = process.env.TEST_RESULTS

/** Files that leave nothing behind in their process: they share one, which saves loading everything anew. */
const SHARING = ['test/{actors,codec,middleware,protocol,server,sessions}/**/*.test.ts']
/** Of these, what shows itself only in a process of its own. */
const ALONE = [
  'test/codec/without-native.test.ts',
  'test/server/{drain,health}.test.ts',
  'test/sessions/**/*.integration.test.ts',
]

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'sharing', include: SHARING, exclude: ALONE, isolate: false } },
      {
        extends: true,
        test: {
          name: 'alone',
          include: [
            'test/!(actors|codec|middleware|protocol|server|sessions)/**/*.test.ts',
            'test/*.test.ts',
            ...ALONE,
          ],
        },
      },
    ],
    // The default leaves a core to vitest itself, which on two cores is half of them.
    maxWorkers: Math.max(2, availableParallelism()),
    env: { NODE_ENV: 'test' },
    testTimeout: 20_000,
    reporters: results ? ['default', ['json', { outputFile: results }]] : ['default'],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary'],
    },
  },
})
