// firewall where the reference plugin has been: its rules are seen, and go with the container, whatever the backend.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { addBridge, addContainer, type Container } from '#tools/bridges.ts'
import { lacks, output } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { firewallPlugin } from './firewall.ts'

const REFERENCE = '/usr/lib/cni/firewall'
const skip = lacks('ip') || lacks('nft') || lacks('iptables-nft') || lacks('iptables-legacy') ||
  !existsSync(REFERENCE) && `no ${REFERENCE}`

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

test('in the place of the reference plugin', { skip }, async t => {
  // Version 1.1.1 knows no isolated.
  for (const policy of ['open', 'same-bridge']) {
    t.test(policy, async t => {
      const node = new Node(t, firewallPlugin, { backend: 'nftables', ingressPolicy: policy })
      const { host } = node
      addBridge(host, 1)
      const [one, other] = [addContainer(t, host, 1, 2), addContainer(t, host, 1, 3)]
      const config = ({ prevResult }: Container, keys: Json = {}): Json => node.config({ prevResult, ...keys })
      const call = (verb: string, each: Container, keys: Json = {}): unknown =>
        node.call(verb, each.pod, config(each, keys), { containerId: each.containerId })
      const reference = (verb: string, each: Container): string => {
        const prevResult = { ...each.prevResult, cniVersion: '1.0.0' }
        const { stdout, status } = spawnSync(REFERENCE, [], {
          encoding: 'utf8',
          input: JSON.stringify(config(each, { cniVersion: '1.0.0', prevResult, backend: 'iptables' })),
          env: {
            ...process.env, CNI_COMMAND: verb, CNI_CONTAINERID: each.containerId, CNI_NETNS: each.pod.path,
            CNI_IFNAME: 'eth0', CNI_PATH: '/usr/lib/cni',
          },
        })
        return status === 0 ? '' : stdout
      }
      const rules = (): string => ['iptables', 'ip6tables'].map(program => output(host, `${program}-save`, []))
        .join('').split('\n').filter(line => /^-A.*(10\.1\.1|fd00:1|br1)/.test(line)).join('\n')

      t.equal(reference('ADD', one), '')
      t.match(rules(), '10.1.1.2')
      call('CHECK', one)
      output(host, 'iptables', ['-D', 'CNI-FORWARD', '-s', '10.1.1.2/32', '-j', 'ACCEPT'])
      t.throws(() => call('CHECK', one), { code: 102, message: /10\.1\.1\.2/ })
      call('ADD', other)
      call('CHECK', other)
      call('DEL', one)
      t.notMatch(rules(), /10\.1\.1\.2|fd00:1::2/)
      call('CHECK', other)
      host.link.remove((one.prevResult['interfaces'] as { name: string }[])[1]!.name)
      call('DEL', other)
      host.link.remove((other.prevResult['interfaces'] as { name: string }[])[1]!.name)
      t.equal(rules().replace(/.*br1.*\n?/g, ''), '')
      t.notMatch(output(host, 'nft', ['list', 'ruleset']), /fairlead/)
    })
  }

  t.test('and back, with the iptables backend', async t => {
    const node = new Node(t, firewallPlugin, { backend: 'iptables' })
    const { host } = node
    addBridge(host, 1)
    const one = addContainer(t, host, 1, 2)
    const prevResult = { ...one.prevResult, cniVersion: '1.0.0' }
    const config = node.config({ cniVersion: '1.0.0', prevResult })
    node.call('ADD', one.pod, config, { containerId: one.containerId })
    for (const verb of ['CHECK', 'DEL']) {
      const { status, stdout } = spawnSync(REFERENCE, [], {
        encoding: 'utf8', input: JSON.stringify(config),
        env: {
          ...process.env, CNI_COMMAND: verb, CNI_CONTAINERID: one.containerId, CNI_NETNS: one.pod.path,
          CNI_IFNAME: 'eth0', CNI_PATH: '/usr/lib/cni',
        },
      })
      t.equal(status, 0, stdout)
    }
    t.notMatch(output(host, 'iptables-save', []), /10\.1\.1\.2/)
  })
})
