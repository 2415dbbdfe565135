// How long a link is waited for.
import { test } from 'tap'
import { kernelLacks, lacks, ownNamespace } from '#tools/kernel.ts'
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

const skip = lacks('ip') || kernelLacks('macvlan')

test('an IPv6 address is waited for until packets to it are taken in', { skip }, async t => {
  const host = ownNamespace(t)
  host.link.add({ name: 'up0', up: true, info: { kind: 'veth', peer: { name: 'up1' } } })
  host.link.set(host.link.get('up1').index, { up: true })
  for (let round = 0; round < 20; round++) {
    host.link.add({ name: 'on0', parent: host.link.get('up0').index, info: { kind: 'macvlan', mode: 'bridge' } })
    const { index } = host.link.get('on0')
    host.requestAll([
      host.addr.adding({ index, address: 'fd00::1/64', noDad: true }), host.link.setting(index, { up: true }),
    ])
    t.same(waitForAddresses(host, index), [])
    t.ok(host.route.local6(index).includes('fd00::1'))
    host.link.remove('on0')
  }
})
