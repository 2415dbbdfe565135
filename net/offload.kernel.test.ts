// Checksum offload, with ethtool as witness.
import { test } from 'tap'
import { kernelLacks, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { offloadsChecksums, setChecksumOffload } from './offload.ts'

test('checksum offload of a VXLAN device', { skip: lacks('ethtool') || kernelLacks('vxlan') }, async t => {
  const host = ownNamespace(t)
  host.link.add({ name: 'vx0', info: { kind: 'vxlan', id: 5, port: 4789, learning: 0 } })
  const seen = (): string => /tx-checksum-ip-generic: (\w+)/.exec(output(host, 'ethtool', ['-k', 'vx0']))?.[1] ?? ''
  t.equal(seen(), 'on')
  t.equal(offloadsChecksums(host, 'vx0'), true)
  for (const on of [false, false, true]) {
    setChecksumOffload(host, 'vx0', on)
    t.equal(seen(), on ? 'on' : 'off')
    t.equal(offloadsChecksums(host, 'vx0'), on)
  }
  t.throws(() => setChecksumOffload(host, 'nothing0', false), { code: 'ENODEV' })
})
