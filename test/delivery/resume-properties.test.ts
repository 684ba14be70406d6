import { describe, expect, test } from 'vitest'
import type { ResumeOptions } from '../../src/actors/resume-options.js'
import { answerCalls } from '../../src/client/answer-calls.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition, ServiceServer } from '../../src/services/service.js'
import { faultLink, testServer } from '../../src/testing/index.js'

/** Courses of each kind; `SEEDS=1000` runs more, which takes minutes. */
const SEEDS = Number(process.env.SEEDS ?? 12)
const STEPS = 15
const ITEMS = 150
/** What calls fail with when their connection is over, or there is none. */
const LOST = ['CONNECTION_LOST', 'NOT_CONNECTED']

/** What one client has done and seen. */
interface Record {
  /** Connections that it had, with the pushes that came over each. */
  readonly heard: Map<string, number[]>
  /** Names of calls, with what became of them: each time one settles. */
  readonly outcomes: Map<string, { ok?: unknown; code?: string; accepted?: unknown }[]>
  /** The items that each stream gave, and how it ended. */
  readonly streams: { items: number[]; end: string }[]
  /** How often each call of the server ran. */
  readonly answered: Map<string, number>
  said: number
}

/** Two clients and a server do all that they can to one another through faults; what became of it. */
async function course(seed: number, resume: ResumeOptions) {
  const faults = faultLink({ seed, delay: [0, 30] })
  const ran = new Map<string, number>()
  const pushed = new Map<string, number[]>()
  const said = new Map<string, string[]>()
  const asked: { name: string; outcome?: string }[] = []
  const gone: string[] = []
  let server!: ServiceServer
  const own = {
    server(given) {
      server = given
      given.onopen = ({ id }) => void pushed.set(id, [])
      given.onclose = ({ id }) => void gone.push(id)
      given.onmessage = (text, { connectionId }) => {
        said.set(connectionId, [...(said.get(connectionId) ?? []), text as string])
      }
    },
    client(service) {
      return {
        say: (text: string) => service.send(text),
        listen(onpush: (n: number) => void, oncall: (name: string) => unknown) {
          service.onmessage = n => onpush(n as number)
          answerCalls(service, name => oncall(name as string))
        },
      }
    },
  } satisfies ServiceDefinition
  const methods = rpc({
    echo(_ctx, name: string) {
      ran.set(name, (ran.get(name) ?? 0) + 1)
      return name
    },
    async slow(_ctx, name: string) {
      ran.set(name, (ran.get(name) ?? 0) + 1)
      await new Promise(done => setTimeout(done, 400))
      return name
    },
    async *count(_ctx, to: number) {
      for (let n = 0; n < to; n++) yield n
    },
  })
  const kit = await testServer(
    transport =>
      new Server({ transport, env: 'test', resume, limits: { ping: 1_000 } })
        .service('rpc', methods)
        .service('own', own),
    { seed },
  )
  try {
    const clients = [0, 1].map(index => {
      const client = kit.client({ faults, timeout: 0, services: { own } })
      const record: Record = {
        heard: new Map(),
        outcomes: new Map(),
        streams: [],
        answered: new Map(),
        said: 0,
      }
      let listening = false
      client.on('error', () => undefined)
      client.on('status', status => {
        if (status !== 'connected') return
        if (!record.heard.has(client.connectionId!)) record.heard.set(client.connectionId!, [])
        if (listening) return
        listening = true
        client.api.own.listen(
          n => record.heard.get(client.connectionId!)!.push(n),
          name => {
            record.answered.set(name, (record.answered.get(name) ?? 0) + 1)
            return name
          },
        )
      })
      client.connect().catch(() => undefined)
      return { index, client, record, ready: () => listening }
    })
    // Before its first welcome a client has nothing that could be resumed.
    await kit.advance(100)
    faults.chances({ cut: 0.03, blackHole: 0.005, halfClose: 0.01 })
    for (let step = 0; step < STEPS; step++) {
      await kit.advance(100)
      for (const { id } of kit.app.connections()) {
        pushed.get(id)!.push(step)
        server.send(id, step)
        const entry: { name: string; outcome?: string } = { name: `${id} ${step}` }
        asked.push(entry)
        server.callClient(id, entry.name, { timeout: 0 }).then(
          value => {
            entry.outcome = value === entry.name ? 'ok' : 'wrong'
          },
          (error: { code: string }) => {
            entry.outcome = error.code
          },
        )
      }
      for (const { index, client, record, ready } of clients) {
        if (!ready()) continue
        for (const method of ['echo', 'slow'] as const) {
          const name = `${index} ${method} ${step}`
          const outcomes: { ok?: unknown; code?: string; accepted?: unknown }[] = []
          record.outcomes.set(name, outcomes)
          client.api.rpc[method](name).then(
            ok => outcomes.push({ ok }),
            ({ code, data }) => outcomes.push({ code, accepted: data?.accepted }),
          )
        }
        try {
          client.api.own.say(`${index} ${step}`)
          record.said++
        } catch {
          // There is no connection, and it says so.
        }
        if (step % 5 === 2) {
          const stream: Record['streams'][number] = { items: [], end: '' }
          record.streams.push(stream)
          void (async () => {
            try {
              for await (const n of client.api.rpc.count(ITEMS)) stream.items.push(n)
              stream.end = 'ok'
            } catch (error) {
              stream.end = (error as { code: string }).code
            }
          })()
        }
      }
    }
    faults.chances()
    await kit.advance(60_000)
    return {
      clients: clients.map(({ client, record }) => ({
        record,
        id: client.connectionId,
        status: client.status,
      })),
      pushed,
      said,
      asked,
      ran,
      // Stopping closes the rest.
      gone: [...gone],
      log: String(faults.log),
      cuts: faults.log.events.length,
    }
  } finally {
    await kit.stop()
  }
}

/** What is wrong with a course, whatever was lost for good. */
function faultsOf({ clients, pushed, said, asked, ran, gone }: Awaited<ReturnType<typeof course>>): string[] {
  const wrong: string[] = []
  const check = (holds: boolean, what: string): void => void (holds || wrong.push(what))
  for (const [name, times] of ran) check(times === 1, `${name} ran ${times} times`)
  for (const { name, outcome } of asked) {
    const over = gone.some(id => name.startsWith(id))
    check(outcome === 'ok' || (over && LOST.includes(outcome ?? '')), `the call ${name} ended ${outcome}`)
  }
  clients.forEach(({ record, status }, index) => {
    check(status === 'connected', `client ${index} is ${status}`)
    for (const [id, heard] of record.heard) {
      const sent = pushed.get(id) ?? []
      const expected = gone.includes(id) ? sent.slice(0, heard.length) : sent
      check(String(heard) === String(expected), `${id} was pushed ${sent} and heard ${heard}`)
    }
    for (const [name, outcomes] of record.outcomes) {
      const [outcome = {}] = outcomes
      check(outcomes.length === 1, `${name} settled ${outcomes.length} times`)
      const times = ran.get(name) ?? 0
      if ('ok' in outcome) check(outcome.ok === name && times === 1, `${name} gave ${outcome.ok}`)
      else {
        check(gone.length > 0 && LOST.includes(outcome.code ?? ''), `${name} failed ${outcome.code}`)
        if (outcome.code === 'NOT_CONNECTED') check(times === 0, `${name} was never sent and ran`)
        if (outcome.accepted === true) check(times === 1, `${name} was accepted and did not run`)
        if (outcome.accepted === false) check(times === 0, `${name} was not accepted and ran`)
      }
    }
    for (const { items, end } of record.streams) {
      const inOrder = items.every((n, at) => n === at)
      const whole = end === 'ok' ? items.length === ITEMS : gone.length > 0 && LOST.includes(end)
      check(inOrder && whole, `a stream gave ${items} and ended ${end}`)
    }
    for (const [name, times] of record.answered) check(times === 1, `the client ran ${name} ${times} times`)
    const texts = [...said.values()].flat().filter(text => text.startsWith(`${index} `))
    const steps = texts.map(text => Number(text.split(' ')[1]))
    check(
      steps.every((n, at) => at === 0 || n > steps[at - 1]!),
      `${texts} are not in order`,
    )
    if (gone.length === 0) check(texts.length === record.said, `${record.said} were said and ${texts} heard`)
  })
  return wrong
}

describe('clients and a server with faults between them', () => {
  test(`lose nothing and repeat nothing within the window, at ${SEEDS} seeds`, async () => {
    let cuts = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await course(seed, {})
      cuts += result.cuts
      const ids = result.clients.map(({ record }) => record.heard.size)
      expect([faultsOf(result), result.gone, ids], `seed ${seed}\n${result.log}`).toEqual([[], [], [1, 1]])
    }
    expect(cuts).toBeGreaterThan(SEEDS)
  })

  test(`say what was lost past it, at ${SEEDS} seeds`, async () => {
    let gone = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await course(seed, { window: 300, bytes: 4_000 })
      gone += result.gone.length
      expect(faultsOf(result), `seed ${seed}\n${result.log}`).toEqual([])
    }
    expect(gone).toBeGreaterThan(0)
  })
})
