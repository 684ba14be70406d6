import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, test } from 'vitest'

/** The same places as in `scripts/setup-tests.js`. */
const executablePath = process.env.CHROMIUM_PATH || '/usr/bin/chromium'

/** Without these Chromium looks for updates and for its maker's servers at every start. */
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * A suite that runs in a headless Chromium, started before its tests and closed after them.
 *
 * Without a Chromium it is skipped, with the reason in its name; in CI it fails instead.
 *
 * @param body given a function for the browser, to be called within tests
 */
export function describeBrowser(name: string, body: (browser: () => Browser) => void): void {
  if (!existsSync(executablePath)) {
    const why = `no browser at ${executablePath}`
    if (process.env.CI) {
      test(name, () => {
        throw new Error(`${why}; run scripts/setup-tests.js`)
      })
    } else describe.skip(`${name} (skipped: ${why})`, () => test(why, () => {}))
    return
  }
  describe(name, () => {
    let browser: Browser | undefined
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath, args: ARGS })
    }, 60_000)
    afterAll(() => browser?.close())
    body(() => browser!)
  })
}
