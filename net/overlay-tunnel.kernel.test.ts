// The VXLAN device of an overlay: whose it is, and what cannot be changed about it.
import { test } from 'tap'
import { anotherNamespace, kernelLacks, lacks, observe, output, ownNamespace } from '#tools/kernel.ts'
import { ensureTunnel, findTunnel, removeTunnel, tunnelName, type TunnelSpec } from './overlay-tunnel.ts'
import { readSysctl } from './sysctl.ts'

const spec: TunnelSpec = {
  network: 'blue', vni: 4097, port: 4789, vtep: '192.0.2.1', mac: '02:cb:00:00:00:01', mtu: 1450,
  addresses: ['10.210.1.0/32', 'fd00:210:1::/128'], ipv6: true,
}

test('the device of an overlay', { skip: lacks('ip') || kernelLacks('vxlan') }, async t => {
  const host = ownNamespace(t)
  const elsewhere = anotherNamespace(t)
  const name = tunnelName(spec.vni)
  t.equal(name, 'fl-vx001001')

  t.test('made', async t => {
    ensureTunnel(host, spec)
    t.match(observe(host, 'ip', '-j', '-d', 'address', 'show', name), [{
      mtu: 1450, address: spec.mac, ifalias: 'fairlead:blue/', operstate: 'UNKNOWN',
      linkinfo: {
        info_data: {
          id: 4097, port: 4789, local: '192.0.2.1', learning: false, udp_csum: false, udp_zero_csum6_tx: false,
        },
      },
      addr_info: [{ local: '10.210.1.0', prefixlen: 32 }, { local: 'fd00:210:1::', prefixlen: 128 }],
    }])
    t.equal(readSysctl(`ipv6/conf/${name}/accept_ra`), '0')
  })

  t.test('changed in place', async t => {
    const { index } = host.link.get(name)
    output(host, 'ip', ['address', 'add', '10.9.9.9/32', 'dev', name])
    const other = {
      ...spec, vtep: '192.0.2.9', mac: '02:cb:00:00:00:09', mtu: 1400, addresses: ['10.210.9.0/32'], ipv6: false,
    }
    const link = ensureTunnel(host, other)
    t.match(link, { index, mtu: 1400, address: other.mac, info: { local: '192.0.2.9' } })
    t.same(host.addr.list(index).map(({ address }) => address), ['10.210.9.0/32'], 'foreign and old addresses are gone')
    t.equal(readSysctl(`ipv6/conf/${name}/disable_ipv6`), '1')
    t.equal(readSysctl(`ipv6/conf/${name}/accept_ra`), '0')
    output(host, 'ip', ['link', 'set', name, 'mtu', '1000'])
    t.equal(ensureTunnel(host, spec).index, index)
    t.equal(readSysctl(`ipv6/conf/${name}/accept_ra`), '0', 'the kernel had forgotten')
  })

  t.test('made anew where the kernel cannot change it', async t => {
    t.match(ensureTunnel(host, { ...spec, vtep: '2001:db8::1' }).info, { local: undefined, local6: '2001:db8::1' })
    t.match(ensureTunnel(host, { ...spec, port: 8472 }).info, { port: 8472 })
    t.match(ensureTunnel(host, spec).info, { port: 4789, local: '192.0.2.1' })
    t.equal(host.link.list({ kind: 'vxlan' }).length, 1)
  })

  t.test('taken over by its VNI, whatever its name', async t => {
    removeTunnel(host, 4097, 4789)
    output(host, 'ip', ['link', 'add', 'my-vx', 'type', 'vxlan', 'id', '4097', 'dstport', '4789'])
    const { index } = host.link.get('my-vx')
    const link = ensureTunnel(host, spec)
    t.match(link, { index, name: 'my-vx', alias: 'fairlead:blue/', info: { local: '192.0.2.1', learning: 0 } })
    t.equal(findTunnel(host, 4097, 4789)?.index, index)
    t.equal(findTunnel(host, 4097, 8472), undefined)
    host.link.set(index, { alias: 'fairlead:old-name/' })
    t.equal(ensureTunnel(host, spec).alias, 'fairlead:blue/', 'a network that has been made anew')
  })

  t.test('but not from somebody else', async t => {
    const { index } = host.link.get('my-vx')
    for (const alias of ['customer 7', 'fairlead:blue/c1/eth0']) {
      host.link.set(index, { alias })
      t.throws(() => ensureTunnel(host, spec), { message: /VNI 4097 on UDP port 4789 is that of my-vx .*another VNI/ })
      removeTunnel(host, 4097, 4789)
      t.ok(host.link.find('my-vx'), 'and it stays')
    }
    host.link.remove('my-vx')
    host.link.add({ name, info: { kind: 'bridge' } })
    t.throws(() => ensureTunnel(host, spec), { message: /link fl-vx001001 is not ours/ })
    host.link.remove(name)
  })

  t.test('a device that was moved still has its VNI', async t => {
    output(host, 'ip', ['link', 'add', 'vx0', 'type', 'vxlan', 'id', '4097', 'dstport', '4789'])
    host.link.set(host.link.get('vx0').index, { netnsFd: elsewhere.fd })
    t.throws(() => ensureTunnel(host, spec), { message: /VNI 4097 .* moved to another network namespace/ })
    elsewhere.link.remove('vx0')
    ensureTunnel(host, spec)
    removeTunnel(host, 4097, 4789)
    removeTunnel(host, 4097, 4789)
    t.equal(host.link.find(name), undefined)
  })

  t.test('a port that is in use', async t => {
    output(host, 'ip', ['link', 'add', 'ext0', 'type', 'vxlan', 'external', 'dstport', '4789'])
    output(host, 'ip', ['link', 'set', 'ext0', 'up'])
    t.throws(() => ensureTunnel(host, spec), { message: /network blue: UDP port 4789 is in use on this host/ })
    host.link.remove('ext0')
    t.equal(ensureTunnel(host, spec).up, true, 'and once it is free')
  })
})
