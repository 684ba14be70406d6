/** Is told what becomes of a message. */
export interface Receipt {
  /** It has been handled, and saved where the actor saves. */
  handled?(): void
  /** It has failed, or will not be handled. */
  failed(error: Error): void
}

/**
 * Who wants to know what becomes of which message.
 *
 * The same object may be on its way more than once: the first receipt is for the first of them.
 */
export class Receipts {
  readonly #waiting = new Map<object, Receipt[]>()

  /** Messages with receipts. */
  get size(): number {
    return this.#waiting.size
  }

  /** Adds a receipt; returns what takes it back. */
  add(message: object, receipt: Receipt): () => void {
    const receipts = this.#waiting.get(message) ?? []
    receipts.push(receipt)
    this.#waiting.set(message, receipts)
    return () => {
      const at = receipts.indexOf(receipt)
      if (at < 0) return
      receipts.splice(at, 1)
      if (receipts.length === 0 && this.#waiting.get(message) === receipts) this.#waiting.delete(message)
    }
  }

  /** Takes the receipt of a message whose fate is known. */
  take(message: object): Receipt | undefined {
    if (this.#waiting.size === 0) return undefined
    const receipts = this.#waiting.get(message)
    const receipt = receipts?.shift()
    if (receipts?.length === 0) this.#waiting.delete(message)
    return receipt
  }
}
