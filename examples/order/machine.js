// @ts-check
/** The order flow: cart → placed → paid → shipped. */
import { assign, createMachine } from 'xstate'

/** @typedef {{ items: readonly string[] }} Context */
/** @typedef {{ type: 'add', item: string } | { type: 'place' } | { type: 'pay' } | { type: 'cancel' }} OrderEvent */

/**
 * Makes the flow.
 *
 * @param {number} shipping milliseconds from the payment until the order is shipped
 */
export function orderMachine(shipping) {
  return createMachine({
    types: /** @type {{ context: Context, events: OrderEvent }} */ ({}),
    context: { items: [] },
    initial: 'cart',
    states: {
      cart: {
        on: {
          add: {
            guard: ({ context, event }) => context.items.length < 20 && isItem(event.item),
            actions: assign({ items: ({ context, event }) => [...context.items, event.item] }),
          },
          place: { guard: ({ context }) => context.items.length > 0, target: 'placed' },
          cancel: 'cancelled',
        },
      },
      placed: { on: { pay: 'paid', cancel: 'cancelled' } },
      paid: { after: { [shipping]: 'shipped' } },
      shipped: { type: 'final' },
      cancelled: { type: 'final' },
    },
  })
}

/**
 * Events come from clients: what they carry can be anything.
 *
 * @param {unknown} item
 */
function isItem(item) {
  return typeof item === 'string' && item !== '' && item.length <= 100
}
