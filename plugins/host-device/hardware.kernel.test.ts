// PCI, virtio and auxiliary devices in a /sys of the test's own, and devices in namespaces that have names.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync } from 'node:fs'
import { test, type Test } from 'tap'
import type { Json } from '#cni/json.ts'
import { Namespace } from '#net/namespace.ts'
import { connect, lacks } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { enterPrivateNamespaces } from '#tools/privacy.ts'
import { hostDevice } from './host-device.ts'

const skip = lacks('ip') || lacks('mount')
if (!skip) enterPrivateNamespaces()

const run = (command: string, ...args: string[]): void => {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

const PCI = '/sys/bus/pci/devices'
const AUXILIARY = '/sys/bus/auxiliary/devices'

/** A machine with a card, a virtio card, two cards for DPDK, one without a driver, and a part of a card. */
const buildSysfs = (): void => {
  run('mount', '-t', 'tmpfs', 'tmpfs', '/sys')
  const bind = (id: string, driver: string): void => {
    mkdirSync(`/sys/bus/pci/drivers/${driver}`, { recursive: true })
    mkdirSync(`${PCI}/${id}`, { recursive: true })
    symlinkSync(`../../../../bus/pci/drivers/${driver}`, `${PCI}/${id}/driver`)
  }
  bind('0000:00:01.0', 'e1000e')
  mkdirSync(`${PCI}/0000:00:01.0/net/card0`, { recursive: true })
  bind('0000:00:02.0', 'virtio-pci')
  mkdirSync(`${PCI}/0000:00:02.0/virtio1/net/card1`, { recursive: true })
  bind('0000:00:03.0', 'vfio-pci')
  bind('0000:00:04.0', 'uio_pci_generic')
  mkdirSync(`${PCI}/0000:00:05.0`)
  mkdirSync(`${AUXILIARY}/mlx5_core.sf.2/net/card2`, { recursive: true })
  mkdirSync('/sys/devices/pci0000:00/0000:00:06.0/net/card3', { recursive: true })
}

const cards = ['card0', 'card1', 'card2', 'card3']

/** A host with those cards; each ends in a namespace of its own. */
const equipped = (t: Test): Node => {
  const node = new Node(t, hostDevice, {}, '10.1.2.0/24')
  const outside = node.pod()
  for (const name of cards) {
    connect({ ns: node.host, name, addresses: [] }, { ns: outside, name: `${name}-far`, addresses: [] })
  }
  return node
}

test('devices of /sys', { skip }, async t => {
  buildSysfs()
  const node = equipped(t)
  const { host } = node

  const ways: (readonly [Json, string, string | undefined])[] = [
    [{ pciBusID: '0000:00:01.0' }, 'card0', '0000:00:01.0'],
    [{ pciBusID: '0000:00:02.0' }, 'card1', '0000:00:02.0'],
    [{ runtimeConfig: { deviceID: '0000:00:01.0' }, pciBusID: '0000:00:02.0' }, 'card0', '0000:00:01.0'],
    [{ runtimeConfig: { deviceID: 'mlx5_core.sf.2' }, pciBusID: '0000:00:02.0' }, 'card2', undefined],
    [{ kernelpath: '/sys/devices/pci0000:00/0000:00:06.0' }, 'card3', undefined],
    [{ device: 'card1', kernelpath: '/sys/devices/pci0000:00/0000:00:06.0' }, 'card1', undefined],
    [{ kernelpath: '/sys/devices/pci0000:00/0000:00:06.0', pciBusID: '0000:00:01.0' }, 'card3', undefined],
  ]
  for (const [keys, name, pciID] of ways) {
    t.test(JSON.stringify(keys), async t => {
      const [pod, config] = [node.pod(), node.config(keys)]
      node.call('STATUS', undefined, config)
      const { address } = host.link.get(name)
      const result = node.call('ADD', pod, config)
      t.match(result, { interfaces: [{ name: 'eth0', mac: address, pciID }] })
      t.equal(host.link.find(name), undefined)
      node.call('CHECK', pod, { ...config, prevResult: result })
      // The directory stays, so the device is somewhere. The container's namespace has no path that leads there.
      if (!('device' in keys)) node.call('STATUS', undefined, config)
      node.call('DEL', pod, config)
      t.ok(host.link.find(name))
      t.same(node.recorded(), [])
    })
  }

  t.test('DPDK: addresses only, nothing is moved', async t => {
    for (const keys of [
      { pciBusID: '0000:00:03.0' }, { runtimeConfig: { deviceID: '0000:00:04.0' } },
      { pciBusID: '0000:00:03.0', device: 'card0' },
    ]) {
      const [pod, config] = [node.pod(), node.config(keys)]
      const links = node.links
      const result = node.call('ADD', pod, config)
      const pciID = 'runtimeConfig' in keys ? '0000:00:04.0' : '0000:00:03.0'
      t.same(result?.['interfaces'], [{ name: 'eth0', sandbox: pod.path, pciID }])
      t.match(result?.['ips'], [{ interface: 0 }])
      node.call('CHECK', pod, { ...config, prevResult: result })
      t.same(pod.link.list().map(({ name }) => name), ['lo'])
      t.same(node.links, links)
      t.equal(node.recorded().length, 1)
      node.call('DEL', pod, config)
      t.same(node.recorded(), [])
      node.call('STATUS', undefined, config)
    }
    const config = { pciBusID: '0000:00:03.0' }
    t.throws(() => node.call('ADD', node.pod(), node.config({ ...config, mac: '02:00:00:00:00:01' })), { code: 7 })
    t.throws(() => node.call('ADD', node.pod(), node.config({ ...config, mtu: 1400 })), { code: 7, message: /mtu/ })
    const old = node.config({ ...config, cniVersion: '1.0.0' })
    t.notHas(node.call('ADD', node.pod(), old), { interfaces: [{ pciID: String }] }, 'pciID exists since 1.1.0')
    node.call('DEL', undefined, old)
  })

  t.test('devices that are not there', async t => {
    const missing = { pciBusID: '0000:00:09.0' }
    t.throws(() => node.call('ADD', node.pod(), node.config(missing)), { code: 50, message: /0000:00:09\.0/ })
    t.throws(() => node.call('STATUS', undefined, node.config({ pciBusID: '0000:00:05.0' })), { code: 50 })
    const allocated = node.config({ runtimeConfig: { deviceID: 'gone.sf.1' } })
    t.throws(() => node.call('ADD', node.pod(), allocated), { code: 50, message: /gone\.sf\.1/ })
    for (const config of [node.config(missing), allocated]) node.call('DEL', node.pod(), config)
  })
})

test('a device that another container has', { skip }, async t => {
  const node = equipped(t)
  run('ip', 'netns', 'add', 'a b')
  t.teardown(() => run('ip', 'netns', 'del', 'a b'))
  using pod = Namespace.at('/run/netns/a b')
  const { address: hwaddr } = node.host.link.get('card0')
  const own = node.config({ device: 'card0', mac: '02:00:00:00:00:0a' })
  node.call('ADD', pod, own)
  for (const config of [{ device: 'card0' }, { hwaddr }]) {
    const other = { containerId: 'c2' }
    t.throws(() => node.call('ADD', node.pod(), node.config(config), other), {
      code: 11, message: /is in use: it is in \/run\/netns\/a b, as eth0/,
    })
    node.call('STATUS', undefined, node.config(config))
  }
  node.call('DEL', pod, own)
  node.call('STATUS', undefined, node.config({ hwaddr }))
  t.ok(node.links.includes('card0'))

  const process = spawn('unshare', ['-n', 'sh', '-c', 'echo; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => process.kill())
  await once(process.stdout, 'data')
  using unnamed = Namespace.at(`/proc/${process.pid}/ns/net`)
  node.call('ADD', unnamed, own)
  const other = { containerId: 'c2' }
  t.throws(() => node.call('ADD', node.pod(), own, other), { code: 11, message: /\/proc\/\d+\/ns\/net/ })
  node.call('DEL', unnamed, own)
  t.ok(node.links.includes('card0'))
})
