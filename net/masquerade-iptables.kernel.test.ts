// Masquerading with iptables: what the Go suite left in either kind of it goes, and what we write is what it writes.
import { rmSync } from 'node:fs'
import { test } from 'tap'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Attachment } from './attachment.ts'
import { chainName } from './iptables-chain.ts'
import * as masquerade from './masquerade.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

const attachmentOf = (containerId: string, network = 'net1'): Attachment => ({ network, containerId, ifName: 'eth0' })
const one = attachmentOf('c1')
const two = attachmentOf('c2')
const addresses = ['10.1.2.3/24', 'fd00:1::3/64']

for (const kind of ['nft', 'legacy']) {
  test(`iptables-${kind}`, { skip: lacks(`iptables-${kind}-save`) }, async t => {
    const host = ownNamespace(t)
    const save = (family = 'ip'): string[] =>
      output(host, `${family}tables-${kind}-save`, ['-t', 'nat']).split('\n').filter(line => line.includes('CNI-'))
    const write = (attachment: Attachment, address: string, ...more: string[]): void => {
      const remark = `-m comment --comment "name: \\"${attachment.network}\\" id: \\"${attachment.containerId}\\""`
      const chain = chainName(attachment)
      output(host, `iptables-${kind}-restore`, ['--noflush', '--wait'], ['*nat', `-N ${chain}`,
        `-A ${chain} -d 10.1.2.0/24 ${remark} -j ACCEPT`, `-A ${chain} ! -d 224.0.0.0/4 ${remark} -j MASQUERADE`,
        ...[address, ...more].map(source => `-A POSTROUTING -s ${source} ${remark} -j ${chain}`), 'COMMIT', '',
      ].join('\n'))
    }
    const foreign = attachmentOf('c1', 'net2')
    write(one, '10.1.2.3', '10.1.2.3/24', '10.7.2.7/20')
    write(two, '10.1.2.4')
    write(foreign, '10.1.2.5')
    const before = save().filter(line => !line.includes(chainName(one)))
    masquerade.remove(host, one, ['10.1.2.3/24'])
    const jumps = save().filter(line => line.includes('POSTROUTING') && line.includes(chainName(one)))
    t.match(jumps.join(), /^-A POSTROUTING -s 10.7.0.0\/20 [^,]*$/,
      'both generations of rules are gone, another interface of the container stays')
    masquerade.remove(host, one)
    t.same(save(), before, 'all of one container, nothing of another')
    masquerade.remove(host, one)
    masquerade.collect(host, 'net1', [two])
    t.same(save(), before)
    masquerade.collect(host, 'net1', [])
    t.same(save(), before.filter(line => line.includes(chainName(foreign))))
  })
}

test('the iptables backend', { skip: lacks('iptables-restore') }, async t => {
  const host = ownNamespace(t)
  const rules = (): string[] => ['iptables', 'ip6tables'].flatMap(program =>
    output(host, `${program}-save`, ['-t', 'nat']).split('\n').filter(line => line.includes('CNI-')))
  masquerade.add(host, one, addresses, 'iptables')
  masquerade.check(host, one, addresses, 'iptables')
  masquerade.check(host, one, addresses)
  t.throws(() => masquerade.check(host, two, addresses), /10\.1\.2\.3 is not in map masquerade4/)
  const chain = chainName(one)
  const remark = '-m comment --comment "name: \\"net1\\" id: \\"c1\\""'
  t.same(rules(), [
    `:${chain} - [0:0]`, `-A POSTROUTING -s 10.1.2.3/32 ${remark} -j ${chain}`,
    `-A ${chain} -d 10.1.2.0/24 ${remark} -j ACCEPT`, `-A ${chain} ! -d 224.0.0.0/4 ${remark} -j MASQUERADE`,
    `:${chain} - [0:0]`, `-A POSTROUTING -s fd00:1::3/128 ${remark} -j ${chain}`,
    `-A ${chain} -d fd00:1::/64 ${remark} -j ACCEPT`, `-A ${chain} ! -d ff00::/8 ${remark} -j MASQUERADE`,
  ])
  const once = rules()
  masquerade.add(host, one, addresses, 'iptables')
  t.same(rules(), once, 'twice is once')
  const deletion = ['*nat', once[1]!.replace('-A', '-D'), 'COMMIT', ''].join('\n')
  output(host, 'iptables-restore', ['--noflush', '--wait'], deletion)
  t.throws(() => masquerade.check(host, one, addresses, 'iptables'), /-s 10\.1\.2\.3\/32 .*is missing/)
  masquerade.add(host, one, addresses, 'iptables')
  masquerade.check(host, one, addresses, 'iptables')
  masquerade.remove(host, one)
  t.same(rules(), [])
})
