// podman 4 with network_backend "cni" starts, connects and removes containers with the plugins under test.
import { t, test } from 'tap'
import { leftovers } from './leftovers.ts'
import { privateMachine } from './machine.ts'
import { bridgeOf, writeNetwork } from './networks.ts'
import { openOutside, outside, wire } from './outside.ts'
import { attachment, inContainer, removeAll, runOnce, serve, settlePodman, within } from './podman.ts'
import { awaitServer, fetchPage, reaches } from './reach.ts'
import { lacking, pluginDirectory, withoutPlugin } from './requirements.ts'
import { layRootfs } from './rootfs.ts'

t.setTimeout(120_000)

const cniVersion = '1.0.0'

test('podman', { skip: lacking('podman', 'crun', 'conmon') }, async t => {
  const machine = await privateMachine(t, pluginDirectory)
  layRootfs(machine)
  const unable = settlePodman(machine)
  if (unable) {
    t.plan(0, unable)
    return
  }
  openOutside(machine)

  for (const [octet, version] of ['0.4.0', '1.0.0'].entries()) {
    const name = `harbour${octet}`
    t.test(`containers and the machine reach each other (cniVersion ${version})`, async t =>
      within(t, machine, { name, octet, cniVersion: version }, () => {
        const a = serve(machine, 'a', '--network', name)
        const b = serve(machine, 'b', '--network', name)
        machine.run('podman', 'network', 'reload', a)
        machine.run('podman', 'restart', '--time', '0', b)
        awaitServer(machine, inContainer(b))
        for (const address of attachment(machine, b, name))
          reaches(t, machine, inContainer(a), address)
        for (const address of attachment(machine, a, name)) {
          reaches(t, machine, inContainer(b), address)
          reaches(t, machine, ['busybox'], address)
        }
      }))
  }

  t.test('ipMasq shows the outside the address of the machine', async t =>
    within(t, machine, { name: 'masked', octet: 2, cniVersion, bridge: { ipMasq: true } }, () => {
      const a = serve(machine, 'a', '--network', 'masked')
      for (const [index, address] of wire.server.entries()) {
        const source = fetchPage(machine, inContainer(a), address, '/cgi-bin/who')
        t.equal(source, wire.machine[index], `source at ${address}`)
      }
    }))

  t.test('a running container is connected to a second network and disconnected', async t =>
    within(t, machine, { name: 'first', octet: 3, cniVersion }, () => {
      const second = { name: 'second', octet: 4, cniVersion }
      writeNetwork(machine, second)
      const a = serve(machine, 'a', '--network', 'first')
      machine.run('podman', 'network', 'connect', 'second', a)
      for (const name of ['first', 'second'])
        for (const address of attachment(machine, a, name)) reaches(t, machine, ['busybox'], address)
      machine.run('podman', 'network', 'disconnect', 'second', a)
      const link = (): string => machine.run(...inContainer(a), 'ip', 'link', 'show', 'dev', 'eth1')
      t.throws(link, { message: /can't find device/ })
      machine.run('ip', 'link', 'delete', bridgeOf(second))
    }))

  t.test('a container gets the address and the MAC that the user asks for', async t =>
    within(t, machine, { name: 'chosen', octet: 5, cniVersion }, () => {
      const options = ['--network', 'chosen', '--ip', '10.77.5.50', '--mac-address', '02:00:00:00:05:32']
      const shown = runOnce(machine, options, 'ip', 'address', 'show', 'dev', 'eth0')
      t.match(shown, 'inet 10.77.5.50/24')
      t.match(shown, 'link/ether 02:00:00:00:05:32')
    }))

  t.test('a container that finds no free address leaves nothing', async t => {
    const ranges = [[{ subnet: '10.77.6.0/24', rangeStart: '10.77.6.9', rangeEnd: '10.77.6.9' }]]
    await within(t, machine, { name: 'full', octet: 6, cniVersion, bridge: { ipMasq: true }, ipam: { ranges } }, () => {
      serve(machine, 'a', '--network', 'full')
      const before = leftovers(machine)
      t.throws(() => runOnce(machine, ['--network', 'full'], 'true'), { message: /address/ })
      t.same(leftovers(machine), before, 'as before the failure')
    })
  })

  t.test('a published port leads to the container', { skip: withoutPlugin('portmap') }, async t => {
    const chained = [{ type: 'portmap', capabilities: { portMappings: true } }]
    const publish = ['--publish', '8080:80']
    await within(t, machine, { name: 'port', octet: 7, cniVersion, chained }, () => {
      serve(machine, 'a', '--network', 'port', ...publish)
      for (const address of wire.machine) t.equal(fetchPage(machine, outside, address, ':8080/'), 'hello', address)
    }, ...publish)
  })

  t.test('a macvlan network of podman\'s own making', { skip: withoutPlugin('macvlan') }, async t => {
    const before = leftovers(machine)
    t.teardown(() => {
      removeAll(machine)
      machine.run('podman', 'network', 'rm', 'quayside')
    })
    machine.run('podman', 'network', 'create', '--driver', 'macvlan', '--opt', 'parent=wire0', '--ipv6',
      '--subnet', '192.0.2.0/24', '--ip-range', '192.0.2.128/25', '--subnet', '2001:db8::/64', 'quayside')
    const a = serve(machine, 'a', '--network', 'quayside', '--mac-address', '02:00:00:00:09:01')
    const b = serve(machine, 'b', '--network', 'quayside')
    for (const address of attachment(machine, b, 'quayside')) {
      reaches(t, machine, inContainer(a), address)
      reaches(t, machine, outside, address)
    }
    for (const [index, address] of wire.server.entries()) {
      const source = fetchPage(machine, inContainer(a), address, '/cgi-bin/who')
      t.equal(source, attachment(machine, a, 'quayside')[index], `source at ${address}: no translation`)
    }
    t.match(machine.run(...inContainer(a), 'ip', 'link', 'show', 'dev', 'eth0'), 'link/ether 02:00:00:00:09:01')
    removeAll(machine)
    t.same(leftovers(machine), before, 'nothing is left')
  })

  t.test('the plugin none leaves a container its loopback', { skip: withoutPlugin('none') }, async t => {
    const before = leftovers(machine)
    machine.write('/etc/cni/net.d/solitude.conflist', { cniVersion, name: 'solitude', plugins: [{ type: 'none' }] })
    const shown = runOnce(machine, ['--network', 'solitude'], 'ip', '-o', 'link')
    t.match(shown, /^1: lo: <LOOPBACK,UP,LOWER_UP>.*$/)
    t.same(leftovers(machine), before, 'nothing is left')
  })
})
