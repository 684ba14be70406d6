import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { describeRedis } from '../support/redis.js'
import { Node } from './processes.js'

const program = fileURLToPath(new URL('fence-node.mjs', import.meta.url))

interface Wrote {
  readonly name: string
  readonly fence: number
  readonly outcome: string
}

describeRedis('a server in a process of its own that is frozen while it has something keyed', redis => {
  test('finds what it writes when it goes on refused by its fence, and harms nothing', async () => {
    const start = async (name: string) => {
      const node = await Node.start(redis().port, 'fence', name, { file: program })
      onTestFinished(() => node.kill())
      return node
    }
    const [frozen, other] = [await start('frozen'), await start('other')]
    const first = await frozen.do<Wrote>('call', 'a')
    expect(first).toMatchObject({ name: 'frozen', outcome: 'written' })

    frozen.child.kill('SIGSTOP')
    // It is what the process finds to do when it goes on.
    const late = frozen.do<string>('writeLate')
    const second = await other.do<Wrote>('call', 'a')
    expect(second).toMatchObject({ name: 'other', outcome: 'written' })
    expect(second.fence).toBeGreaterThan(first.fence)

    frozen.child.kill('SIGCONT')
    expect(await late).toBe('refused')
    expect(await other.do('stored', 'a')).toEqual({ name: 'other', fence: second.fence })
  }, 60_000)
})
