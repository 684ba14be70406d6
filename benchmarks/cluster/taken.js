/**
 * What a Redis has taken so far: microseconds of CPU, and bytes that are in use now.
 *
 * @param {Awaited<ReturnType<typeof import('./sides.js').connect>>} client
 * @returns {Promise<{ cpu: number, memory: number, clients: number }>} and how many clients it has, this one as well
 */
export async function taken(client) {
  const info = String(await client.sendCommand(['INFO', 'cpu', 'memory', 'clients']))
  const of = (/** @type {string} */ name) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
  const cpu = (of('used_cpu_user') + of('used_cpu_sys')) * 1e6
  return { cpu, memory: of('used_memory'), clients: of('connected_clients') }
}
