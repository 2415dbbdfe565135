// In-place upgrade: attachments of the Go suite's ptp under ours, and ours under the Go suite's.
import { spawnSync } from 'node:child_process'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { hostLinkName } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, output, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { ptp } from './ptp.ts'

const REFERENCE = '/usr/lib/cni'

const skip = lacks('ip') || lacks('ping') || lacks('iptables') || kernelLacks('veth') ||
  (spawnSync('test', ['-x', `${REFERENCE}/ptp`]).status === 0 ? false : 'no reference suite')

const reference = (verb: string, pod: Namespace | undefined, config: Json): string => {
  const run = spawnSync(`${REFERENCE}/ptp`, {
    input: JSON.stringify(config), encoding: 'utf8',
    env: {
      ...process.env, CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: pod?.path ?? '', CNI_IFNAME: 'eth0',
      CNI_PATH: REFERENCE,
    },
  })
  if (run.status !== 0) throw new Error(run.stdout)
  return run.stdout
}

test('beside the Go suite', { skip }, async t => {
  const node = new Node(t, ptp, { cniVersion: '1.0.0', ipMasq: true, ipMasqBackend: 'iptables' })
  const routes = [{ dst: '0.0.0.0/0', gw: '10.1.2.1' }, { dst: '::/0', gw: 'fd00:1::1' }]
  const config = node.config({ ipam: { ...node.ipam('10.1.2.0/24', 'fd00:1::/64'), routes } })
  const nothingIsLeft = (t: { same(found: unknown, wanted: unknown): void }): void => {
    t.same(node.links, [])
    t.same(node.recorded(), [])
    t.same(node.host.route.list().filter(({ dst }) => !dst.startsWith('fe80:')), [])
    for (const save of ['iptables-save', 'ip6tables-save'])
      t.same(output(node.host, save, []).split('\n').filter(line => /CNI-|c1/.test(line)), [])
  }

  for (const backend of ['iptables', 'nftables']) {
    t.test(`its attachments are checked and deleted, with ipMasqBackend ${backend}`, async t => {
      const pod = node.pod()
      const prevResult = JSON.parse(reference('ADD', pod, config))
      const current = { ...config, ipMasqBackend: backend, prevResult }
      node.call('CHECK', pod, current)
      output(node.host, 'ip', ['route', 'del', '10.1.2.2'])
      t.throws(() => node.call('CHECK', pod, current), { code: 102, message: /10\.1\.2\.2\/32/ })
      node.call('DEL', pod, current)
      nothingIsLeft(t)
      output(node.host, 'rm', ['-r', `${node.leases}/net`])
    })
  }

  t.test('and it checks and deletes ours', async t => {
    const pod = node.pod()
    const prevResult = node.call('ADD', pod, config)
    reference('CHECK', pod, { ...config, prevResult })
    reference('DEL', pod, { ...config, prevResult })
    nothingIsLeft(t)
  })

  t.test('containers of both on one host reach each other', async t => {
    const [theirs, own] = [node.pod(), node.pod()]
    reference('ADD', theirs, config)
    node.call('ADD', own, config, { containerId: 'c2' })
    const addressOf = (pod: Namespace, start: string): string => pod.addr.list(pod.link.get('eth0').index)
      .map(({ address }) => address.split('/')[0]!).find(address => address.startsWith(start))!
    for (const start of ['10.', 'fd00:']) {
      t.ok(pings(theirs, addressOf(own, start)))
      t.ok(pings(own, addressOf(theirs, start)))
    }
    node.call('DEL', undefined, config, { containerId: 'c2' })
    t.notOk(node.links.includes(hostLinkName({ network: 'net', containerId: 'c2', ifName: 'eth0' })))
    t.equal(node.links.length, 1, 'the other stays')
    node.call('DEL', theirs, config)
    nothingIsLeft(t)
  })
})
