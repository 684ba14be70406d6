import type { Envelope } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import { readError } from './client-calls.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import { Upload } from './upload.js'

/** The uploads of one connection: of its calls in flight, by their ids. */
export class Uploads {
  readonly #connection: BrokerConnection
  readonly #open = new Map<number, Upload>()

  constructor(connection: BrokerConnection) {
    this.#connection = connection
  }

  /** Uploads of calls in flight. */
  get size(): number {
    return this.#open.size
  }

  /** Makes the upload of a call in flight; to be told by `over` when that is over. */
  open(id: number): Upload {
    const connection = this.#connection
    const send = (kind: number, payload: unknown): void => {
      if (connection.open) connection.deliver(new Outgoing(connection.codec, kind, 0, id, payload))
    }
    const upload = new Upload({
      credit: connection.broker.limits.credit,
      grant: items => send(KIND.CREDIT, items),
      cancel: code => send(KIND.CANCEL, code),
    })
    this.#open.set(id, upload)
    return upload
  }

  /** A call is over, and its upload with it. */
  over(id: number, upload: Upload): void {
    // The id may be another call's by now.
    if (this.#open.get(id) === upload) this.#open.delete(id)
  }

  /**
   * Takes what belongs to an upload. What comes when its call is over was on the way, and is ignored.
   *
   * @throws SocketStreamError `BAD_FRAME` for what no credit was granted for
   */
  take({ kind, id, payload }: Envelope, inFlight: boolean): void {
    const upload = this.#open.get(id)
    if (upload === undefined) {
      if (inFlight) throw new SocketStreamError('BAD_FRAME', 'a call that uploads nothing has no items')
    } else if (kind === KIND.ITEM) upload.item(payload)
    else upload.end(kind === KIND.ERROR ? readError(payload) : undefined)
  }
}
