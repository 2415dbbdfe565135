// Areas E, F and G of single plugins: what chained plugins, host-device and dhcp have to put back and to notice
// (cni.dev, "Plugins").

import { mustNotice } from '../breakage.ts'
import type { Case } from '../case.ts'
import { linkIn } from '../container.ts'
import { errorOf, must, mustEqual } from '../expect.ts'
import { isObject } from '../json.ts'
import type { World } from '../world.ts'

const since = '0.4.0'

const flushed = (world: World): void => {
  world.host.exec('sh', '-c', 'nft flush ruleset; iptables -t nat -F; ip6tables -t nat -F; iptables -F; ip6tables -F')
}

export const cases: readonly Case[] = [
  {
    id: 'E41', level: 'SHOULD', applies: ['host-device'], title: 'device returns with its name',
    run(world) {
      const { address } = world.host.link('dev0') ?? {}
      world.add()
      must(!world.host.link('dev0'), 'dev0 is still on the host')
      world.del()
      const back = world.host.link('dev0')
      must(back, 'dev0 is not back on the host')
      mustEqual([back.address, back.ifalias ?? ''], [address, ''], 'address and alias of dev0')
    },
  },
  {
    id: 'F27', level: 'SHOULD', applies: ['tuning'], title: 'attributes restored',
    run(world) {
      const { address, mtu } = linkIn(world.pod)
      const attempt = { config: { mac: '02:aa:bb:cc:dd:ee', mtu: 1400 } }
      world.add(attempt)
      const changed = linkIn(world.pod)
      mustEqual([changed.address, changed.mtu], ['02:aa:bb:cc:dd:ee', 1400], 'address and mtu after ADD')
      world.del(attempt)
      const restored = linkIn(world.pod)
      mustEqual([restored.address, restored.mtu], [address, mtu], 'address and mtu after DEL')
    },
  },
  {
    id: 'F30', level: 'QUAL', applies: ['tuning'], title: 'sysctls restored', needs: ['attach'],
    run(world) {
      const names = ['net.core.somaxconn', 'net.ipv4.conf.eth0.log_martians', 'net.ipv4.ip_local_port_range']
      const values = (): string => world.pod.netns.exec('sysctl', ...names)
      const before = values()
      const sysctl = { [names[0] ?? '']: '99', [names[1] ?? '']: '1', [names[2] ?? '']: '30000 40000' }
      world.add({ config: { sysctl } })
      must(!values().split('\n').some(line => before.includes(`${line}\n`) && line !== ''), `not set: ${values()}`)
      world.del({ config: { sysctl } })
      mustEqual(values(), before, 'the values after DEL')
    },
  },
  {
    id: 'G15', level: 'SHOULD', applies: ['portmap'], title: 'rules flushed', since,
    run(world) {
      world.add()
      mustNotice(world, () => flushed(world))
    },
  },
  {
    id: 'G16', level: 'SHOULD', applies: ['firewall'], title: 'rules flushed', since,
    run(world) {
      world.add()
      mustNotice(world, () => flushed(world))
    },
  },
  {
    id: 'G17', level: 'SHOULD', applies: ['bandwidth'], title: 'qdisc removed / changed', since,
    run(world) {
      world.add()
      const slower = ['tbf', 'rate', '1mbit', 'burst', '10kb', 'latency', '25ms']
      const shaped = world.host.qdiscs().find(({ kind, dev }) => kind === 'tbf' && dev === 'host1')
      must(shaped && isObject(shaped['options']), 'host1 has no tbf')
      mustNotice(world, () => world.host.exec('tc', 'qdisc', 'del', 'dev', 'host1', 'root'))
      world.host.exec('tc', 'qdisc', 'replace', 'dev', 'host1', 'root', ...slower)
      errorOf(world.call('CHECK'))
    },
  },
  {
    id: 'G18', level: 'SHOULD', applies: ['tuning'], title: 'sysctl or mtu changed', since,
    run(world) {
      const attempt = { config: { mtu: 1400 } }
      world.add(attempt)
      mustNotice(world, () => world.pod.netns.ip('link', 'set', 'eth0', 'mtu', '1300'), attempt)
      world.pod.netns.ip('link', 'set', 'eth0', 'mtu', '1400')
      mustNotice(world, () => world.pod.netns.exec('sysctl', '-w', 'net.ipv4.conf.eth0.log_martians=0'), attempt)
    },
  },
  {
    id: 'G19', level: 'SHOULD', applies: ['sbr', 'vrf'], title: 'rule/enslavement removed', since,
    run(world) {
      world.add()
      mustNotice(world, () => {
        if (world.plugin === 'vrf') return world.pod.netns.ip('link', 'set', 'eth0', 'nomaster')
        const rules = world.pod.netns.rules().filter(({ src }) => src === '10.79.1.2')
        must(rules.length > 0, 'there is no rule from 10.79.1.2')
        for (const { priority } of rules) world.pod.netns.ip('rule', 'del', 'priority', String(priority))
      })
    },
  },
  {
    id: 'G24', level: 'SHOULD', applies: ['dhcp'], title: 'daemon down', since,
    run(world) {
      errorOf(world.call('CHECK', { config: { prevResult: { cniVersion: world.subject.version, ips: [] } } }))
    },
  },
]
