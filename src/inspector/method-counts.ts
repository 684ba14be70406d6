import { BrokerRequest } from '../actors/request.js'
import type { Turn } from '../actors/runtime/tap.js'
import type { ServiceEntry } from '../actors/service.js'
import { BUCKETS, type MethodRow } from './protocol/index.js'
import { TapBudget } from './tap-budget.js'

/** Methods of one service that are counted by their names: clients can make up any number. */
const MOST_METHODS = 256

class Method {
  calls = 0
  errors = 0
  unfinished = 0
  inFlight = 0
  max = 0
  readonly histogram: number[] = new Array<number>(BUCKETS.length + 1).fill(0)

  took(ms: number): void {
    if (ms > this.max) this.max = ms
    const bucket = BUCKETS.findIndex(bound => ms <= bound)
    this.histogram[bucket === -1 ? BUCKETS.length : bucket]!++
  }

  row(name: string): MethodRow {
    const { calls, errors, unfinished, inFlight, histogram } = this
    const [p50, p99] = [percentile(histogram, 0.5), percentile(histogram, 0.99)]
    return {
      name,
      calls,
      errors,
      unfinished,
      inFlight,
      ...(p50 !== undefined && { p50: Math.min(p50, this.max) }),
      ...(p99 !== undefined && { p99: Math.min(p99, this.max), max: this.max }),
      histogram: [...histogram],
    }
  }
}

/** What is counted of one service. */
interface Counted {
  readonly service: ServiceEntry
  readonly methods: Map<string, Method>
  /** What the service had handled when counting began, and how much of what came since was counted. */
  readonly handledBefore: number
  counted: number
}

/** Messages counted of a second, over all services. */
const MOST = 10_000

/**
 * Counts the calls of services by method, with how long they took, while somebody looks at them.
 *
 * All of them up to 10,000 a second. Past that only the first ones of each tenth of a second, so that looking does not
 * slow down what is looked at; the share that was counted is known.
 */
export class MethodCounts {
  /** When counting began; undefined while nothing is counted. */
  since: number | undefined
  readonly #services = new Map<number, Counted>()
  readonly #budget = new TapBudget(MOST, () => this.#tap())

  begin(services: readonly (ServiceEntry | undefined)[]): void {
    this.since = Date.now()
    for (const service of services) {
      if (service === undefined) continue
      const { handled } = service.ref
      this.#services.set(service.id, { service, methods: new Map(), handledBefore: handled, counted: 0 })
    }
    this.#budget.begin()
  }

  end(): void {
    this.#budget.end()
    this.since = undefined
    this.#services.clear()
  }

  rows(service: number): readonly MethodRow[] {
    const methods = this.#services.get(service)?.methods ?? []
    return [...methods].map(([name, method]) => method.row(name))
  }

  /** The share of a service's messages that was counted, 1 for all; undefined while nothing is counted. */
  sampling(service: number): number | undefined {
    const found = this.#services.get(service)
    if (found === undefined) return undefined
    const all = found.service.ref.handled - found.handledBefore
    return all === 0 ? 1 : Math.round((found.counted / all) * 1000) / 1000
  }

  #tap(): (() => void)[] {
    return [...this.#services.values()].map(counted => {
      const { service, methods } = counted
      const { type } = service.definition
      return service.ref.tap(turn => {
        counted.counted++
        count(methods, type, turn)
        this.#budget.heard()
      })
    })
  }
}

function count(methods: Map<string, Method>, type: string | undefined, { message, began }: Turn): void {
  if (!(message instanceof BrokerRequest)) return
  const method = methodOf(methods, methodName(message, type))
  method.calls++
  method.inFlight++
  message.onend(outcome => {
    method.inFlight--
    if (outcome === 'ok' || outcome === 'error') method.took(performance.now() - began)
    else method.unfinished++
    if (outcome === 'error') method.errors++
  })
}

function methodOf(methods: Map<string, Method>, name: string): Method {
  let method = methods.get(name)
  if (method !== undefined) return method
  const key = methods.size >= MOST_METHODS - 1 ? '(other)' : name
  method = methods.get(key)
  if (method === undefined) {
    method = new Method()
    methods.set(key, method)
  }
  return method
}

/** What a request calls, by its service's kind. */
export function methodName(request: BrokerRequest, type: string | undefined): string {
  const { kind } = request
  if (kind !== 'call') return kind === 'message' ? '(message)' : '(subscribe)'
  if (type === 'pubsub') return '(publish)'
  let payload: unknown
  try {
    payload = request.message
  } catch {
    return '(other)'
  }
  const name = Array.isArray(payload) ? payload[0] : (payload as { m?: unknown } | null)?.m
  return typeof name === 'string' && name !== '' ? name.slice(0, 100) : '(call)'
}

/** The upper bound of the bucket in which a share of all lies; undefined when there is none. */
export function percentile(histogram: readonly number[], share: number): number | undefined {
  const all = histogram.reduce((sum, one) => sum + one, 0)
  if (all === 0) return undefined
  let left = all * share
  for (const [index, one] of histogram.entries()) {
    left -= one
    if (left <= 0) return BUCKETS[index] ?? Number.MAX_SAFE_INTEGER
  }
  return Number.MAX_SAFE_INTEGER
}
