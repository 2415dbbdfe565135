// More attachments in one network than a bridge has ports.
import { resolve } from 'node:path'
import { test } from 'tap'
import { invoke } from '#cni/invocation.ts'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { status } from '#sys/file.ts'
import { anotherNamespace, connect, kernelLacks, lacks, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import { staticIpam } from '../static-ipam/static.ts'
import { ptp } from './ptp.ts'

const COUNT = 1050 // a bridge has room for 1,023
const PER_NAMESPACE = 50

const addresses = (i: number): Json[] => [
  { address: `10.4.${i >> 8}.${i & 255}/16`, gateway: '10.4.255.254' },
  { address: `fd00:4::${i.toString(16)}/64`, gateway: 'fd00:4::ffff' },
]

/** One verb for attachment `i`, with the IPAM plugin in this process. */
const call = (verb: string, pod: Namespace | undefined, i: number, prevResult?: Json): Json | undefined => {
  const ipam = { type: 'static', addresses: addresses(i), routes: [{ dst: '10.9.0.0/24' }, { dst: 'fd00:9::/64' }] }
  const config = { cniVersion: '1.1.0', name: 'crowd', type: 'ptp', ipam, prevResult }
  let result: Json | undefined
  invoke(ptp, {
    variables: {
      CNI_COMMAND: verb, CNI_CONTAINERID: `c${i}`, CNI_NETNS: pod?.path ?? '', CNI_IFNAME: `eth${i}`,
      CNI_PATH: resolve('build/bin'),
    },
    stdin: () => new TextEncoder().encode(JSON.stringify(config)),
    executable: status('build/bin/static'),
    resident: () => staticIpam,
    deliver: made => { result = made },
    warn() {},
  })
  return result
}

const skip = lacks('ip') || lacks('ping') || kernelLacks('veth')

test(`${COUNT} attachments`, { skip }, async t => {
  const host = ownNamespace(t)
  const there = anotherNamespace(t)
  connect(
    { ns: host, name: 'up0', addresses: ['10.9.0.1/24', 'fd00:9::1/64'] },
    { ns: there, name: 'out0', addresses: ['10.9.0.2/24', 'fd00:9::2/64'] },
  )
  const dev = there.link.get('out0').index
  there.route.add({ dst: '10.4.0.0/16', dev, via: '10.9.0.1' })
  there.route.add({ dst: 'fd00:4::/64', dev, via: 'fd00:9::1' })

  const pods: Namespace[] = []
  const results: (Json | undefined)[] = []
  const times: number[] = []
  for (let i = 1; i <= COUNT; i++) {
    if (i % PER_NAMESPACE === 1) pods.push(anotherNamespace(t))
    const start = performance.now()
    results.push(call('ADD', pods.at(-1)!, i))
    times.push(performance.now() - start)
  }
  const median = (list: readonly number[]): string => list.toSorted((a, b) => a - b)[list.length >> 1]!.toFixed(1)
  const [first, last] = [median(times.slice(10, 110)), median(times.slice(-100))]
  t.comment(`ADD in this process: ${first} ms in the beginning, ${last} ms in the end`)

  t.equal(host.route.list().filter(({ dst }) => /^(10\.4\.|fd00:4::).*\/(32|128)$/.test(dst)).length, 2 * COUNT)
  for (const i of [1, 1024, COUNT]) {
    const pod = pods[Math.ceil(i / PER_NAMESPACE) - 1]!
    for (const { address } of addresses(i) as { address: string }[]) {
      t.ok(reaches(there, address.split('/')[0]!), `from outside to ${address}`)
    }
    for (const address of ['10.4.255.254', 'fd00:4::ffff', '10.9.0.2', 'fd00:9::2', '10.4.0.7', 'fd00:4::7'])
      t.ok(reaches(pod, address), `from ${i} to ${address}`)
    call('CHECK', pod, i, results[i - 1])
  }
  call('DEL', undefined, COUNT)
  t.notOk(pings(there, `10.4.${COUNT >> 8}.${COUNT & 255}`))
  t.ok(pings(there, '10.4.0.1'))
})
