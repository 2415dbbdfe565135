// How long a link is waited for.
import { test } from 'tap'
import { lacks, ownNamespace } from '#tools/kernel.ts'
import { waitForAddresses } from './ready.ts'
import { trySysctl } from './sysctl.ts'

test('duplicate address detection is not waited for where it cannot begin', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  // Its peer is down, so it has no carrier.
  host.link.add({ name: 'near0', up: true, info: { kind: 'veth', peer: { name: 'far0' } } })
  const { index } = host.link.get('near0')
  trySysctl('ipv6/conf/near0/accept_dad', '1')
  host.addr.add({ index, address: 'fd00::1/64' })
  const begun = Date.now()
  t.same(waitForAddresses(host, index), [])
  t.ok(Date.now() - begun < 1000)
  t.match(host.addr.list(index), [{ address: 'fd00::1/64', tentative: true }], 'it is still to come')
})
