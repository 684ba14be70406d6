// @ts-check
/**
 * Gets what the tests need beyond npm packages: a Chromium, which Debian's package manager can give.
 *
 * Does nothing when there is one. Without one the browser tests are skipped; in CI that is a failure.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** The same places as in `test/support/browser.ts`. */
const chromium = process.env.CHROMIUM_PATH || '/usr/bin/chromium'

if (!existsSync(chromium)) {
  const why = whyNot() ?? install()
  if (why !== undefined) {
    console.error(`No browser at ${chromium}: the browser tests will be skipped (${why})`)
    if (process.env.CI) process.exitCode = 1
  }
}

/** Why Chromium cannot be installed here; undefined when it can be tried. */
function whyNot() {
  if (process.env.CHROMIUM_PATH) return 'CHROMIUM_PATH says where it should be'
  if (!existsSync('/etc/debian_version')) return 'only on Debian is it installed by itself; set CHROMIUM_PATH'
  if (process.getuid?.() !== 0) return 'installing it takes root: apt-get install chromium'
  return undefined
}

/** Installs Chromium; returns why that failed. */
function install() {
  console.log('Installing chromium for the browser tests')
  try {
    apt(3, 'update')
    apt(10, 'install', '-y', '--no-install-recommends', 'chromium')
    return existsSync(chromium) ? undefined : 'its package has put it elsewhere'
  } catch (error) {
    const { stdout, stderr, message } = /** @type {Error & { stdout?: string, stderr?: string }} */ (error)
    console.error(stdout || '', stderr || '')
    return message
  }
}

/** @param {number} minutes @param {string[]} args */
function apt(minutes, ...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  execFileSync('apt-get', args, { env, encoding: 'utf8', stdio: 'pipe', timeout: minutes * 60_000 })
}
