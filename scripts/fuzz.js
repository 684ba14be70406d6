/**
 * Fuzzes every way in: `npm run fuzz -- --inputs 1000000 [--seed 7] [--only frames] [--patience 20]`.
 *
 * The inputs and what must hold are those of the tests, in `test/fuzz`.
 */
import { runBundled } from './bundled.js'

const watchdog = new URL('fuzz/watchdog.js', import.meta.url).href
process.exitCode = await runBundled('test/fuzz/run.ts', [...process.argv.slice(2), `--watchdog=${watchdog}`])
