// The tap driver, with processes at the other end, seen with ip and packets.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { close } from '#sys/libc.ts'
import { trySysctl } from '#net/sysctl.ts'
import { status } from '#sys/file.ts'
import { connect, lacks, observe, output, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { openDevice } from './device.ts'
import { tap } from './tap.ts'

const skip = lacks('ip') || lacks('ping') || lacks('setpriv') ||
  (status('/dev/net/tun') === undefined && 'there is no /dev/net/tun')

const ipv4 = '10.8.0.0/24'
const ipv6 = 'fd00:8::/64'
const neighbour = '10.8.0.99'

// include/uapi/linux/if_tun.h
const plain = 0x2 | 0x1000
const multiQueue = plain | 0x100

interface Test { teardown(step: () => unknown): unknown }
interface User { readonly uid?: number; readonly gid?: number }

/**
 * Starts a process that opens the tap of a container under another user, and answers for `neighbour`.
 * @returns `open`, or `refused` and why
 */
const attach = async (t: Test, pod: Namespace, { uid = 0, gid = 0 }: User = {}, flags = plain): Promise<string> => {
  const fd = openDevice(pod)
  const args = [
    // Without what tap adds to every process's environment: it would write files where this user must not.
    '-i', `PATH=${process.env['PATH']}`, 'setpriv',
    `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...(uid === 0 ? [] : ['--inh-caps=-all']),
    process.execPath, '--disable-warning=ExperimentalWarning', 'tools/tap-process.ts', 'eth0', `${flags}`, neighbour,
  ]
  const child = spawn('env', args, { stdio: ['ignore', 'pipe', 'inherit', fd] })
  close(fd)
  t.teardown(() => child.kill('SIGKILL'))
  const [said] = await once(child.stdout!, 'data') as [Buffer]
  return said.toString().trim()
}

const infoOf = (pod: Namespace): unknown => observe(pod, 'ip', '-d', '-j', 'link', 'show', 'eth0')

test('tap', { skip }, async t => {
  t.test('a process gets the container\'s frames, and the container its', async t => {
    const node = new Node(t, tap, {}, ipv4, ipv6)
    const pod = node.pod()
    const config = node.config({ owner: 1001, group: 1002, mtu: 1400, mac: '02:00:00:00:00:01' })
    const result = node.call('ADD', pod, config)
    t.match(result, {
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: pod.path }],
      ips: [{ address: '10.8.0.2/24', interface: 0 }, { address: 'fd00:8::2/64', interface: 0 }],
    })
    t.match(infoOf(pod), [{
      mtu: 1400, address: '02:00:00:00:00:01', flags: ['NO-CARRIER', 'BROADCAST', 'MULTICAST', 'UP'],
      linkinfo: { info_kind: 'tun', info_data: {
        type: 'tap', pi: false, vnet_hdr: true, multi_queue: false, persist: true, user: 1001, group: 1002,
      } },
    }])
    t.notOk(pings(pod, neighbour), 'nobody is there yet')
    node.call('CHECK', pod, { ...config, prevResult: result })
    t.equal(await attach(t, pod, { uid: 1001, gid: 1002 }), 'open')
    t.ok(pings(pod, neighbour))
    t.equal(await attach(t, pod), 'refused EBUSY', 'one queue takes one process')
    node.call('CHECK', pod, { ...config, prevResult: result })
    node.call('DEL', pod, config)
    t.equal(pod.link.find('eth0'), undefined)
    t.same(node.recorded(), [])
    node.call('DEL', pod, config)
    t.same(node.links, [], 'the host has nothing of it')
  })

  t.test('who may open it', async t => {
    const node = new Node(t, tap, {}, ipv4)
    // Kernels differ about a tap that is nobody's, and about an owner who is not in the group.
    const cases: [Json, User, string][] = [
      [{ owner: 1001 }, { uid: 1001, gid: 5 }, 'open'],
      [{ owner: 1001 }, { uid: 1003, gid: 1001 }, 'refused EPERM'],
      [{ owner: 0 }, { uid: 1001, gid: 1001 }, 'refused EPERM'],
      [{ group: 1002 }, { uid: 1003, gid: 1002 }, 'open'],
      [{ group: 1002 }, { uid: 1002, gid: 1001 }, 'refused EPERM'],
      [{ owner: 1001, group: 1002 }, { uid: 1003, gid: 1003 }, 'refused EPERM'],
    ]
    for (const [keys, user, outcome] of cases) {
      const pod = node.pod()
      const config = node.config({ ...keys, ipam: {} })
      const result = node.call('ADD', pod, config)
      t.equal(await attach(t, pod, user), outcome, `${JSON.stringify(keys)} for ${JSON.stringify(user)}`)
      node.call('CHECK', pod, { ...config, prevResult: result })
    }
  })

  t.test('multiQueue: as many openings as it gets, and no others', async t => {
    const node = new Node(t, tap, { multiQueue: true }, ipv4)
    const pod = node.pod()
    const result = node.call('ADD', pod)
    t.equal(await attach(t, pod), 'refused EINVAL')
    for (const _ of [1, 2]) t.equal(await attach(t, pod, {}, multiQueue), 'open')
    t.match(infoOf(pod), [{ linkinfo: { info_data: { multi_queue: true, numqueues: 2 } } }])
    t.ok(pings(pod, neighbour))
    node.call('CHECK', pod, node.config({ prevResult: result }))
  })

  t.test('mtu and mac are applied whoever may open it; the runtime\'s mac goes first', async t => {
    const node = new Node(t, tap, { mtu: 1300, mac: '02:00:00:00:00:01' })
    for (const keys of [{}, { owner: 1 }, { group: 1 }, { owner: 1, group: 1 }, { multiqueue: true, OWNER: 1 }]) {
      const pod = node.pod()
      node.call('ADD', pod, node.config(keys), { args: 'MAC=02:00:00:00:00:02' })
      t.match(infoOf(pod), [{ mtu: 1300, address: '02:00:00:00:00:02' }], JSON.stringify(keys))
    }
    const pod = node.pod()
    const config = node.config({ runtimeConfig: { mac: '02:00:00:00:00:03' } })
    node.call('ADD', pod, config, { args: 'MAC=02:00:00:00:00:02' })
    t.match(infoOf(pod), [{ address: '02:00:00:00:00:03' }])
  })

  t.test('bridge: a port of a bridge in the container, which carries frames to others', async t => {
    const node = new Node(t, tap, { bridge: 'inner0' })
    const [pod, other] = [node.pod(), node.pod()]
    t.throws(() => node.call('ADD', pod), { code: 7, message: /bridge "inner0" does not exist/ })
    pod.link.add({ name: 'inner0', up: true, info: { kind: 'bridge' } })
    const { index } = pod.link.get('inner0')
    connect(
      { ns: pod, name: 'port0', addresses: [], master: index },
      { ns: other, name: 'out0', addresses: ['10.8.0.7/24'] },
    )
    const result = node.call('ADD', pod)
    t.match(infoOf(pod), [{ master: 'inner0' }])
    t.equal(await attach(t, pod), 'open')
    t.ok(reaches(other, neighbour))
    const check = (): void => void node.call('CHECK', pod, node.config({ prevResult: result }))
    check()
    pod.link.set(pod.link.get('eth0').index, { master: 0 })
    t.throws(check, { code: 102, message: /bridge of eth0/ })
    const wrong = node.config({ bridge: 'port0' })
    t.throws(() => node.call('ADD', pod, wrong, { ifName: 'eth1' }), { code: 7, message: /is no bridge/ })
  })
})

test('a tap that nobody has opened', { skip }, async t => {
  t.test('has addresses, routes and DNS settings at once', async t => {
    const node = new Node(t, tap, {})
    const pod = node.pod()
    // A host where every interface waits for duplicate address detection.
    pod.run(() => trySysctl('ipv6/conf/all/accept_dad', '1'))
    const dns = { nameservers: ['10.8.0.1'] }
    const ipam = {
      type: 'static', dns, addresses: [{ address: '10.8.0.2/24' }, { address: 'fd00:8::2/64', gateway: 'fd00:8::1' }],
      routes: [
        { dst: '0.0.0.0/0', gw: '10.8.0.1', mtu: 1300, advmss: 1200, priority: 50 }, { dst: '::/0' },
        { dst: '192.0.2.0/24', table: 100 }, { dst: '198.51.100.0/24', scope: 253 },
      ],
    }
    const config = node.config({ ipam })
    const begun = Date.now()
    const result = node.call('ADD', pod, config)
    t.ok(Date.now() - begun < 2000, 'without waiting for a carrier')
    t.match(result, { routes: [{ mtu: 1300 }, {}, {}, {}], dns })
    t.match(observe(pod, 'ip', '-j', 'route', 'show', 'default'), [
      { gateway: '10.8.0.1', metric: 50, metrics: [{ mtu: 1300, advmss: 1200 }] },
    ])
    t.match(observe(pod, 'ip', '-j', 'route', 'show', 'table', '100'), [{ dst: '192.0.2.0/24' }])
    t.match(observe(pod, 'ip', '-j', 'route', 'show', '198.51.100.0/24'), [{ scope: 'link' }])
    t.match(observe(pod, 'ip', '-6', '-j', 'route', 'show', 'default'), [{ gateway: 'fd00:8::1' }])
    node.call('CHECK', pod, { ...config, prevResult: result })
    t.match(node.call('ADD', node.pod(), { ...config, dns: { domain: 'inner' } }), { dns: { domain: 'inner' } })
  })

  t.test('CHECK sees what is not as it was', async t => {
    const node = new Node(t, tap, { owner: 1001, group: 1002 }, ipv4)
    const pod = node.pod()
    const prevResult = node.call('ADD', pod)
    const changed: [Json, RegExp][] = [
      [{ owner: 1003 }, /owner of eth0 is 1001/], [{ group: 0 }, /group of eth0 is 1002/],
      [{ group: null }, /group of eth0 is 1002/], [{ multiQueue: true }, /multiQueue of eth0/],
    ]
    for (const [keys, message] of changed) {
      t.throws(() => node.call('CHECK', pod, node.config({ ...keys, prevResult })), { code: 102, message })
    }
    output(pod, 'ip', ['link', 'del', 'eth0'])
    pod.link.add({ name: 'eth0', up: true, info: { kind: 'bridge' } })
    t.throws(() => node.call('CHECK', pod, node.config({ prevResult })), { code: 102 })
    node.call('DEL', pod)
    t.ok(pod.link.find('eth0'), 'DEL leaves alone what is no tap')
    t.same(node.recorded(), [])
  })

  t.test('what cannot be is refused and leaves nothing', async t => {
    const node = new Node(t, tap, {}, ipv4)
    const pod = node.pod()
    const refused: [Json, number, RegExp][] = [
      [{ mtu: 20 }, 7, /mtu 20/], [{ mtu: 65522 }, 7, /mtu 65522/], [{ owner: -1 }, 7, /owner -1/],
      [{ group: 4294967295 }, 7, /group 4294967295/], [{ mac: '01:00:00:00:00:01' }, 7, /mac "01/],
      [{ selinuxcontext: 'nonsense' }, 7, /selinuxContext "nonsense"/], [{ bridge: 'none0' }, 7, /bridge "none0"/],
      [{ cniVersion: '0.2.0', ipam: {} }, 7, /0\.2\.0/],
      [{ mtu: 1000, ipam: node.ipam(ipv6) }, 7, /mtu 1000 is too small/],
    ]
    for (const [keys, code, message] of refused) {
      t.throws(() => node.call('ADD', pod, node.config(keys)), { code, message }, message.source)
    }
    t.same(pod.link.list().map(({ name }) => name), ['lo'])
    node.call('ADD', pod)
    t.throws(() => node.call('ADD', pod, node.config(), { containerId: 'c2' }), { code: 103 })
    t.ok(pod.link.find('eth0'), 'the one that was there stays')
    t.same(node.recorded(), ['10.8.0.2'])
    node.call('DEL', undefined)
    t.same(node.recorded(), [], 'without a namespace the address is free all the same')
  })
})
