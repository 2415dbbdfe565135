// For measurements of overlays: thousands of hosts that only the store knows, with a block of addresses each. Keys and
// values are those of agent/layout.ts and agent/records.ts, written through etcd's JSON gateway from outside.

const root = '/fairlead/v1/'
/** etcd takes 128 operations in one transaction. */
const HOSTS_AT_ONCE = 50

const base64 = (text: string): string => Buffer.from(text).toString('base64')

const hex = (value: number): string => value.toString(16).padStart(2, '0')

const low = (i: number): readonly [number, number] => [i >> 8, i & 255]

/** The block of the host with a number, below 39,936. */
export const simulatedBlock = (i: number): string => `10.${100 + low(i)[0]}.${low(i)[1]}.0/24`

const entries = (network: string, i: number): Readonly<Record<string, object>> => {
  const [high, last] = low(i)
  const name = `x${i}`
  const host = {
    vtep4: `192.0.${16 + high}.${last}`, mac: `02:00:00:00:${hex(high)}:${hex(last)}`, token: 'x', mtu: 1500,
    version: '0.1.0', name,
  }
  return { [`hosts/${name}`]: host, ...blockEntry(network, name, simulatedBlock(i)) }
}

/** The key and value by which a block belongs to a host. @param block a /24 such as `10.1.2.0/24` */
export const blockEntry = (network: string, host: string, block: string): Readonly<Record<string, object>> => {
  const digits = block.split('/')[0]!.split('.').map(part => hex(Number(part))).join('')
  return { [`nets/${network}/blocks/${digits}-24`]: { host, block } }
}

const transact = async (store: string, success: readonly object[]): Promise<void> => {
  const answer = await fetch(`${store}/v3/kv/txn`, { method: 'POST', body: JSON.stringify({ success }) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${store}: ${text}`)
}

/** Writes entries. @param store the address of etcd, `http://192.0.2.254:2379` @throws Error with etcd's words */
export const writeEntries = async (store: string, all: Readonly<Record<string, object>>): Promise<void> =>
  await transact(store, Object.entries(all).map(([key, value]) =>
    ({ request_put: { key: base64(root + key), value: base64(JSON.stringify(value)) } })))

/** Removes entries; fine when they are not there. @throws Error with etcd's words */
export const removeEntries = async (store: string, all: Readonly<Record<string, object>>): Promise<void> =>
  await transact(store, Object.keys(all).map(key => ({ request_delete_range: { key: base64(root + key) } })))

/** Adds hosts to the cluster, each with a block of a network that spans 10.0.0.0/8. @throws Error with etcd's words */
export const simulateHosts = async (store: string, network: string, count: number): Promise<void> => {
  for (let at = 0; at < count; at += HOSTS_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(HOSTS_AT_ONCE, count - at) }, (_, i) => at + i)
    await writeEntries(store, Object.assign({}, ...numbers.map(i => entries(network, i))))
  }
}
