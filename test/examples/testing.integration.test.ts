import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const tests = fileURLToPath(new URL('../../examples/testing/app.test.js', import.meta.url))

test('the tests of the chat pass, by the runner of Node', async () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', tests], { env })
  let printed = ''
  child.stdout.on('data', text => {
    printed += text
  })
  expect([await once(child, 'close'), printed]).toEqual([[0, null], expect.stringContaining('# pass 3')])
})
