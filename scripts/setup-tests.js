// @ts-check
/**
 * Gets what the tests need beyond npm packages, which Debian's package manager can give: a Chromium and a Redis.
 *
 * Does nothing for what is there. Without one of them its tests are skipped; in CI that is a failure.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** The same places as in `test/support/browser.ts` and `test/support/redis.ts`. */
const programs = [
  { name: 'browser', place: 'CHROMIUM_PATH', path: '/usr/bin/chromium', debian: 'chromium' },
  { name: 'Redis', place: 'REDIS_SERVER_PATH', path: '/usr/bin/redis-server', debian: 'redis-server' },
]

for (const { name, place, path, debian } of programs) {
  const wanted = process.env[place] || path
  if (existsSync(wanted)) continue
  const why = whyNot(place, debian) ?? install(wanted, name, debian)
  if (why !== undefined) {
    console.error(`No ${name} at ${wanted}: its tests will be skipped (${why})`)
    if (process.env.CI) process.exitCode = 1
  }
}

/** Why it cannot be installed here; undefined when it can be tried. @param {string} place @param {string} debian */
function whyNot(place, debian) {
  if (process.env[place]) return `${place} says where it should be`
  if (!existsSync('/etc/debian_version')) return `only on Debian is it installed by itself; set ${place}`
  if (process.getuid?.() !== 0) return `installing it takes root: apt-get install ${debian}`
  return undefined
}

/** Installs a package; returns why that failed. @param {string} path @param {string} name @param {string} debian */
function install(path, name, debian) {
  console.log(`Installing ${debian} for the ${name} tests`)
  try {
    apt(3, 'update')
    apt(10, 'install', '-y', '--no-install-recommends', debian)
    return existsSync(path) ? undefined : 'its package has put it elsewhere'
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
