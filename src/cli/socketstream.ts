#!/usr/bin/env node
/** The command `socketstream`. */
import { SocketStreamError } from '../errors.js'
import { HELP, readArguments } from './arguments.js'
import { inspect } from './inspect.js'

const wanted = readArguments(process.argv.slice(2), process.env)
if (typeof wanted === 'string') {
  // What was asked for is an answer, what was wrong a complaint.
  const isHelp = wanted === HELP
  ;(isHelp ? process.stdout : process.stderr).write(`${wanted}\n`)
  process.exitCode = isHelp ? 0 : 2
} else {
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort()).once('SIGTERM', () => interrupted.abort())
  // Whoever reads it has had enough, such as `head`.
  process.stdout.on('error', () => interrupted.abort())
  try {
    await inspect(wanted, process.stdout, interrupted.signal)
  } catch (error) {
    const why = error instanceof SocketStreamError ? error.message : String(error)
    process.stderr.write(`socketstream: ${why}\n`)
    process.exitCode = 1
  }
}
