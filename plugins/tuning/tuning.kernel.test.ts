// tuning on an interface that somebody else has made, seen with ip and in /proc/sys.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { readSysctl } from '#net/sysctl.ts'
import { lacks, observe, ownNamespace } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { tuning } from './tuning.ts'

const skip = lacks('ip')
const REFERENCE = '/usr/lib/cni/tuning'

type Test = Parameters<typeof ownNamespace>[0]

const prepared = (t: Test): { node: Node; pod: Namespace; dataDir: string; config: (keys: Json) => Json } => {
  const node = new Node(t, tuning, {})
  const pod = node.pod()
  pod.link.add({
    name: 'eth0', address: '02:00:00:00:00:01', mtu: 1400, up: true, info: { kind: 'veth', peer: { name: 'far0' } },
  })
  const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-tuning-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const prevResult = {
    cniVersion: '1.1.0', interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: pod.path }],
    ips: [{ address: '10.1.2.3/24', interface: 0 }],
  }
  return { node, pod, dataDir, config: keys => node.config({ dataDir, prevResult, ...keys }) }
}

const everything = {
  mac: '02:00:00:00:00:02', mtu: 1300, promisc: true, allmulti: true, txQLen: 77,
  sysctl: { 'net.ipv4.conf.IFNAME.log_martians': '1', 'net/ipv4/ip_default_ttl': '33', 'net.core.somaxconn': '99' },
}

const shown = (pod: Namespace): unknown => observe(pod, 'ip', '-j', 'link', 'show', 'eth0')

test('tuning', { skip }, async t => {
  t.test('ADD sets, CHECK sees what is changed, DEL restores', async t => {
    const { node, pod, dataDir, config } = prepared(t)
    const value = (name: string): string | undefined => pod.run(() => readSysctl(name))
    const names = ['ipv4/conf/eth0/log_martians', 'ipv4/ip_default_ttl', 'core/somaxconn']
    const before = { link: shown(pod), sysctls: names.map(value), host: names.map(name => readSysctl(name)) }
    const result = node.call('ADD', pod, config(everything))
    t.match(result, {
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1300 }], ips: [{ address: '10.1.2.3/24' }],
    })
    t.match(shown(pod), [{ address: '02:00:00:00:00:02', mtu: 1300, txqlen: 77 }])
    t.match(JSON.stringify(shown(pod)), /PROMISC.*ALLMULTI|ALLMULTI.*PROMISC/)
    t.same(names.map(value), ['1', '33', '99'])
    t.same(names.map(name => readSysctl(name)), before.host, 'the host\'s settings are as they were')
    const check = (): unknown => node.call('CHECK', pod, config({ ...everything, prevResult: result }))
    check()
    pod.link.set(pod.link.get('eth0').index, { mtu: 1350 })
    t.throws(check, { code: 102, message: /mtu of eth0/ })
    node.call('DEL', pod, config(everything))
    t.same(shown(pod), before.link)
    t.same(names.map(value), before.sysctls)
    t.same(readdirSync(dataDir), [])
    node.call('DEL', pod, config(everything))
  })

  t.test('what is asked for per attachment goes before the configuration', async t => {
    const { node, pod, config } = prepared(t)
    const args = { cni: { mtu: 1290, mac: '02:00:00:00:00:0b', sysctl: { 'net.ipv4.ip_default_ttl': '44' } } }
    const runtimeConfig = { mac: '02:00:00:00:00:0a' }
    node.call('ADD', pod, config({ ...everything, args, runtimeConfig }), { args: 'MAC=02:00:00:00:00:0c' })
    t.match(shown(pod), [{ address: '02:00:00:00:00:0a', mtu: 1290 }])
    t.same(pod.run(() => ['ipv4/ip_default_ttl', 'core/somaxconn'].map(readSysctl)), ['44', '99'])
  })

  t.test('what cannot be is refused, and nothing is touched', async t => {
    const { node, pod, dataDir, config } = prepared(t)
    const before = shown(pod)
    const refused: [Json, RegExp][] = [
      [{ sysctl: { 'kernel.domainname': 'x' } }, /kernel\.domainname/], [{ sysctl: { 'net/../kernel/x': '1' } }, /./],
      [{ sysctl: { 'net.ipv4.nothing': '1' } }, /net\.ipv4\.nothing" does not exist/],
      [{ sysctl: { 'net.ipv4.ip_default_ttl': 64 } }, /is 64/],
      [{ sysctl: { 'net.ipv4.ip_default_ttl': '1', 'net/ipv4/ip_default_ttl': '2' } }, /twice/],
      [{ mac: '01:00:00:00:00:01' }, /mac/], [{ mtu: -1 }, /mtu -1/], [{ mtu: 67 }, /mtu 67/],
      [{ mtu: 1279, prevResult: { interfaces: [], ips: [{ address: 'fd00::2/64' }] } }, /mtu 1279.*fd00::2/],
      [{ prevResult: undefined, mtu: 1300 }, /prevResult/],
    ]
    for (const [keys, message] of refused) {
      t.throws(() => node.call('ADD', pod, config({ promisc: true, ...keys })), { code: 7, message }, message.source)
    }
    for (const [key, value] of [
      ['net.ipv4.ip_default_ttl', 'x'], ['net.ipv4.conf', '1'], ['net.ipv4.ip_forward\0x', '1'],
    ] as const) {
      const message = `sysctl ${JSON.stringify(key)} "${value}" is refused: `
      t.throws(() => node.call('ADD', pod, config({ sysctl: { [key]: value }, mtu: 1300 })),
        { code: 100, message: new RegExp(message.replaceAll('\\', '.')) }, message)
    }
    t.same(shown(pod), before)
    t.same(readdirSync(dataDir), [])
  })

  t.test('two of them in one chain', async t => {
    const { node, pod, dataDir, config } = prepared(t)
    const before = shown(pod)
    const [first, second] = [{ mtu: 1300, mac: '02:00:00:00:00:02' }, { mtu: 1200, txQLen: 5 }]
    node.call('ADD', pod, config(first))
    node.call('ADD', pod, config(second))
    t.match(shown(pod), [{ mtu: 1200, txqlen: 5, address: '02:00:00:00:00:02' }])
    t.throws(() => node.call('ADD', pod, config({ sysctl: { 'net.ipv4.ip_default_ttl': 'x' }, mtu: 1250 })))
    t.match(shown(pod), [{ mtu: 1200, txqlen: 5 }])
    t.same(readdirSync(dataDir), ['c1_eth0.json'], 'a failed ADD leaves the record of the others')
    node.call('DEL', pod, config(second))
    node.call('DEL', pod, config(first))
    t.same([shown(pod), readdirSync(dataDir)], [before, []])
  })

  t.test('the MTU of IPv6 may be below the link\'s', async t => {
    const { node, pod, config } = prepared(t)
    const keys = { mtu: 1390, sysctl: { 'net.ipv6.conf.IFNAME.mtu': '1280' } }
    const result = node.call('ADD', pod, config(keys))
    t.equal(pod.run(() => readSysctl('ipv6/conf/eth0/mtu')), '1280')
    node.call('CHECK', pod, config({ ...keys, prevResult: result }))
    node.call('DEL', pod, config(keys))
    t.equal(pod.run(() => readSysctl('ipv6/conf/eth0/mtu')), '1400')
  })

  t.test('the administrator\'s list of sysctls', async t => {
    const { node, pod, config } = prepared(t)
    const listed = (...lines: string[]): string => {
      const script = `mount -t tmpfs tmpfs /etc; mkdir -p /etc/cni/tuning
        printf '%s\\n' ${lines.map(line => `'${line}'`).join(' ')} > /etc/cni/tuning/allowlist.conf
        exec build/bin/tuning`
      const { stdout } = spawnSync('unshare', ['-m', 'sh', '-ec', script], {
        encoding: 'utf8', input: JSON.stringify(config({ sysctl: { 'net.ipv4.conf.IFNAME.log_martians': '1' } })),
        env: { ...process.env, CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0' },
      })
      return stdout
    }
    t.match(listed('^net\\.core\\.'), /"code": ?7.*log_martians.*not allowed on this host/s)
    t.match(listed('['), /is no regular expression/)
    t.equal(pod.run(() => readSysctl('ipv4/conf/eth0/log_martians')), '0')
    t.match(listed('^net\\.core\\.', '', '^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$'), /"interfaces"/)
    t.equal(pod.run(() => readSysctl('ipv4/conf/eth0/log_martians')), '1')
    node.call('DEL', pod, config({}))
  })

  t.test('a record stays for those that live, and goes with the others', async t => {
    const { node, pod, dataDir, config } = prepared(t)
    node.call('ADD', pod, config({ mtu: 1300 }))
    writeFileSync(join(dataDir, 'foreign_eth0.json'), '{"mtu": 1500}')
    const gc = (...ids: string[]): void => {
      const valid = ids.map(containerID => ({ containerID, ifname: 'eth0' }))
      node.call('GC', undefined, config({ 'cni.dev/valid-attachments': valid }))
    }
    gc('c1')
    t.same(readdirSync(dataDir).sort(), ['c1_eth0.json', 'foreign_eth0.json'])
    gc()
    t.same(readdirSync(dataDir), ['foreign_eth0.json'])
    node.call('ADD', pod, config({ mtu: 1300 }))
    node.call('DEL', undefined, config({}))
    t.same(readdirSync(dataDir), ['foreign_eth0.json'], 'also when the namespace is gone')
  })

  t.test('DEL of another network, and of a container whose names read alike', async t => {
    const { node, pod, dataDir, config } = prepared(t)
    pod.link.set(pod.link.get('eth0').index, { alias: 'fairlead:net/c_1/eth0' })
    node.call('ADD', pod, config({ mtu: 1300 }), { containerId: 'c_1' })
    node.call('DEL', pod, config({ name: 'other' }), { containerId: 'c_1' })
    node.call('DEL', pod, config({}), { containerId: 'c', ifName: '1_eth0' })
    t.match(shown(pod), [{ mtu: 1300 }])
    t.same(readdirSync(dataDir), ['c_1_eth0.json'])
    pod.link.set(pod.link.get('eth0').index, { alias: 'fairlead:other/c_1/eth0' })
    node.call('DEL', pod, config({}), { containerId: 'c_1' })
    t.match(shown(pod), [{ mtu: 1300 }], 'it is the other network\'s by now')
    t.same(readdirSync(dataDir), [])
  })

  t.test('nothing to do passes everything on', async t => {
    const { node, pod, dataDir, config } = prepared(t)
    t.match(node.call('ADD', pod, config({})), { interfaces: [{ mac: '02:00:00:00:00:01' }] })
    t.same(readdirSync(dataDir), [])
  })
})

test('the reference plugin restores what ours has changed, and the other way round', {
  skip: skip || !existsSync(REFERENCE) && `no ${REFERENCE}`,
}, async t => {
  const { node, pod, dataDir, config } = prepared(t)
  const reference = (verb: string, keys: Json): void => {
    const { prevResult, ...rest } = config(keys)
    const old = { ...rest, cniVersion: '1.0.0', prevResult: { ...prevResult as Json, cniVersion: '1.0.0' } }
    const { status, stdout } = spawnSync(REFERENCE, [], {
      encoding: 'utf8', input: JSON.stringify(old),
      env: {
        CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0', CNI_PATH: '/usr/lib/cni',
      },
    })
    if (status !== 0) throw new Error(stdout)
  }
  const { sysctl: _, txQLen: __, ...link } = everything
  const before = shown(pod)
  node.call('ADD', pod, config(link))
  t.match(shown(pod), [{ mtu: 1300 }])
  reference('DEL', link)
  t.same(shown(pod), before)
  reference('ADD', link)
  t.match(JSON.parse(readFileSync(join(dataDir, 'c1_eth0.json'), 'utf8')), { mtu: 1400 })
  node.call('DEL', pod, config(link))
  t.same(shown(pod), before)
  // The reference's record of an interface whose name has an underscore.
  writeFileSync(join(dataDir, 'c1_eth_0.json'), '{"mtu": 1350}')
  const { index } = pod.link.get('eth0')
  pod.link.set(index, { name: 'eth_0' })
  node.call('DEL', pod, config(link), { ifName: 'eth_0' })
  t.equal(pod.link.at(index).mtu, 1350)
  t.same(readdirSync(dataDir), [])
})
