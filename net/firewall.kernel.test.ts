// The firewall's shared parts when many come and go at once, and with many that stay.
import { test } from 'tap'
import { atOnce } from '#tools/at-once.ts'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Admission } from './admission.ts'
import * as firewall from './firewall.ts'

const skip = lacks('nft') || lacks('iptables')

const admission = (own: number, i: number): Admission => ({
  attachment: { network: 'net1', containerId: `c${own}-${i}`, ifName: 'eth0' },
  addresses: [`10.1.${own}.${i}/16`, `fd00::${own}:${i}/64`], bridge: `br${own % 2}`, adminChain: 'CNI-ADMIN',
  ingressPolicy: i % 3 === 0 ? 'isolated' : i % 3 === 1 ? 'same-bridge' : 'open',
})
const means = { backend: 'nftables', zone: 'trusted', port: undefined } as const

test('many at once', { skip }, async t => {
  const host = ownNamespace(t)
  output(host, 'iptables', ['-P', 'FORWARD', 'DROP'])
  output(host, 'iptables', ['-N', 'CNI-ADMIN'])
  const before = output(host, 'nft', ['list', 'ruleset'])
  const script = `
    import { Namespace } from '${import.meta.resolve('./namespace.ts')}'
    import * as firewall from '${import.meta.resolve('./firewall.ts')}'
    using host = Namespace.host()
    const admission = ${admission}
    const means = ${JSON.stringify(means)}
    const own = Number(process.env.OWN)
    for (let round = 0; round < 10; round++) for (let i = 0; i < 5; i++) {
      const each = admission(own, i)
      firewall.add(host, each, means)
      firewall.check(host, each, means)
      const addresses = i % 2 ? each.addresses : undefined
      if (round < 9 || i > 0) firewall.remove(host, each.attachment, { ...means, addresses, links: [] })
    }`
  const results = await atOnce(script, Array.from({ length: 6 }, (_, own) => ({ OWN: `${own}` })))
  t.same(results, results.map(() => '0'))
  for (let own = 0; own < 6; own++) {
    firewall.check(host, admission(own, 0), means)
    firewall.remove(host, admission(own, 0).attachment, { ...means, addresses: undefined, links: [] })
  }
  t.equal(output(host, 'nft', ['list', 'ruleset']), before)
})

test('a change costs the same beside a thousand others', { skip }, async t => {
  const host = ownNamespace(t)
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
  const measure = (): number => median(Array.from({ length: 15 }, (_, i) => {
    const each = admission(200, i)
    const start = performance.now()
    firewall.add(host, each, means)
    firewall.remove(host, each.attachment, { ...means, addresses: each.addresses, links: [] })
    return performance.now() - start
  }))
  for (let i = 0; i < 10; i++) firewall.add(host, admission(1, i), means)
  measure()
  const few = measure()
  for (let i = 10; i < 1000; i++) firewall.add(host, admission(1 + (i >> 8), i & 255), means)
  const many = measure()
  t.comment(`${few.toFixed(2)} ms beside 10, ${many.toFixed(2)} ms beside 1,000`)
  t.ok(many < 2 * few + 1, `${few} ms beside 10, ${many} ms beside 1,000`)
})
