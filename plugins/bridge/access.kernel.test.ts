// Who reaches the containers of a bridge in all gateway modes, without portmap.
import { rmSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import * as openPorts from '#net/open-ports.ts'
import type { Namespace } from '#net/namespace.ts'
import { ask, serve, type Question } from '#tools/conversation.ts'
import { lacks, output, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { bridge } from './bridge.ts'

const skip = lacks('ip') || lacks('nft') || lacks('ping')

const subnets = ['10.1.2.0/24', 'fd00:1::/64'] as const
const container = { ipv4: '10.1.2.2', ipv6: 'fd00:1::2' } as const
const neighbourhood = {
  own: ['192.0.2.1/24', '2001:db8::1/64'], there: ['192.0.2.2/24', '192.0.2.3/24', '2001:db8::2/64'],
} as const

const neighbours = ['192.0.2.2', '2001:db8::2'] as const

const PORT = 80

const everywhere = (port = PORT): Question[] => Object.values(container)
  .flatMap(address => (['tcp', 'udp'] as const).map(protocol => ({ protocol, address, port })))

const each = async (from: Namespace, port?: number): Promise<boolean[]> =>
  (await ask(from, everywhere(port))).map(answer => answer !== undefined)

/** Whether any, or all, of the questions to the container are answered; mixed answers are told. */
const reached = async (from: Namespace, port = PORT): Promise<boolean | string> => {
  const answers = await each(from, port)
  return answers.every(yes => yes === answers[0]) ? answers[0]! : answers.join()
}

/** The neighbour knows where the containers are. */
const routeTo = (outside: Namespace, via = ['192.0.2.1', '2001:db8::1']): void =>
  subnets.forEach((dst, i) => outside.route.add({ dst, via: via[i]!, dev: outside.link.get('out0').index }))

const both = (mode: string) => ({ gatewayMode: { ipv4: mode, ipv6: mode } })

test('gateway modes', { skip }, async t => {
  const node = new Node(t, bridge, { bridge: 'br0', isDefaultGateway: true }, ...subnets)
  const { host } = node
  const outside = node.uplink(neighbourhood)
  routeTo(outside)
  const [pod, sibling] = [node.pod(), node.pod()]
  await serve(t, pod, PORT, 81)
  await serve(t, outside, PORT)
  /** Ends the network, so that the next begins with the same addresses. */
  const end = (config: Json): void => {
    node.call('DEL', pod, config)
    node.call('DEL', sibling, config, { containerId: 'c2' })
    node.call('GC', undefined, { ...config, 'cni.dev/valid-attachments': [] })
    rmSync(`${node.leases}/net`, { recursive: true })
  }
  const attachment = { network: 'net', containerId: 'c1', ifName: 'eth0' }

  const open: Record<string, { direct: boolean; published: boolean; echo: boolean; seenAs: string[] }> = {
    none: { direct: true, published: true, echo: true, seenAs: ['10.1.2.2', 'fd00:1::2'] },
    nat: { direct: false, published: false, echo: false, seenAs: ['192.0.2.1', '2001:db8::1'] },
    'nat-unprotected': { direct: true, published: true, echo: true, seenAs: ['192.0.2.1', '2001:db8::1'] },
    routed: { direct: false, published: true, echo: true, seenAs: ['10.1.2.2', 'fd00:1::2'] },
  }
  for (const [mode, { direct, published, echo, seenAs }] of Object.entries(open)) {
    t.test(mode, async t => {
      const config = node.config(mode === 'none' ? {} : both(mode))
      const result = node.call('ADD', pod, config)
      node.call('ADD', sibling, config, { containerId: 'c2' })
      node.call('CHECK', pod, { ...config, prevResult: result })
      t.equal(await reached(outside), direct, 'a neighbour that routes to the container')
      t.equal(await reached(sibling), true, 'the same bridge')
      t.equal(await reached(host), true, 'the host')
      t.equal(pings(outside, '10.1.2.2'), echo, 'echo from the neighbour')
      t.equal(pings(outside, 'fd00:1::2'), echo, 'echo in IPv6')
      const answers = await ask(pod, neighbours.map(address => ({ protocol: 'tcp', address, port: PORT })))
      t.same(answers.map(answer => answer?.seenAs), seenAs, 'what the neighbour sees of the container')
      if (mode === 'routed') {
        openPorts.open(host, attachment, Object.values(container).flatMap(containerIp =>
          (['tcp', 'udp'] as const).map(protocol => ({ containerIp, protocol, containerPort: PORT }))))
        t.equal(await reached(outside), published, 'a published port')
        t.equal(await reached(outside, 81), false, 'another')
        openPorts.shut(host, attachment)
        t.equal(await reached(outside), false, 'shut')
      }
      end(config)
      t.same(node.links, ['up0'])
      t.equal(output(host, 'nft', ['list', 'ruleset']), '')
    })
  }

  t.test('a mode for one family leaves the other open', async t => {
    const config = node.config({ gatewayMode: { ipv6: 'nat' } })
    node.call('ADD', pod, config)
    t.same(await each(outside), [true, true, false, false])
    node.call('ADD', sibling, node.config(both('nat')), { containerId: 'c2' })
    t.equal(await reached(outside), false, 'what the next container is configured with counts')
    end(config)
  })

  t.test('icc false', async t => {
    const config = node.config({ icc: false })
    const result = node.call('ADD', pod, config)
    node.call('ADD', sibling, config, { containerId: 'c2' })
    node.call('CHECK', pod, { ...config, prevResult: result })
    t.equal(await reached(sibling), false, 'the same bridge')
    for (const dst of ['10.1.2.2/32', 'fd00:1::2/128'])
      sibling.route.add({ dst, via: dst.includes(':') ? 'fd00:1::1' : '10.1.2.1', dev: sibling.link.get('eth0').index })
    t.equal(await reached(sibling), false, 'by way of the gateway')
    t.equal(await reached(outside), true, 'a neighbour')
    t.ok(pings(sibling, '10.1.2.1'), 'the gateway')
    output(host, 'nft', ['flush', 'chain', 'inet', 'fairlead', 'network_br0'])
    t.throws(() => node.call('CHECK', pod, { ...config, prevResult: result }), /a rule of chain network_br0 is missing/)
    end(config)
    t.equal(output(host, 'nft', ['list', 'ruleset']), '')
  })

  t.test('snat', async t => {
    for (const [name, address] of [['up0', '192.0.2.9/24'], ['up0', '2001:db8::9/64']] as const)
      host.addr.add({ index: host.link.get(name).index, address, noDad: true })
    const config = node.config({ ...both('nat'), snat: { ipv4: '192.0.2.9', ipv6: '2001:db8::9' } })
    const result = node.call('ADD', pod, config)
    node.call('CHECK', pod, { ...config, prevResult: result })
    const answers = await ask(pod, neighbours.map(address => ({ protocol: 'udp', address, port: PORT })))
    t.same(answers.map(answer => answer?.seenAs), ['192.0.2.9', '2001:db8::9'])
    end(config)
    t.equal(output(host, 'nft', ['list', 'ruleset']), '')
  })

  t.test('trusted interfaces reach what is published, and isolated networks have no gateway', async t => {
    const config = node.config({ ...both('nat'), trustedInterfaces: ['up0'] })
    node.call('ADD', pod, config)
    t.equal(await reached(outside), false)
    openPorts.open(host, attachment, [{ containerIp: '10.1.2.2', protocol: 'tcp', containerPort: PORT }])
    t.same(await each(outside), [true, false, false, false])
    openPorts.collect(host, 'net', [])
    t.equal(await reached(outside), false)
    end(config)
    const isolated = node.config({ ...both('isolated'), internal: true, isDefaultGateway: false, isGateway: true })
    const result = node.call('ADD', pod, isolated)
    t.same(host.addr.list(host.link.get('br0').index).filter(({ scope }) => scope === 0), [])
    t.match(result, { ips: [{ address: '10.1.2.2/24' }, { address: 'fd00:1::2/64' }] })
    end(isolated)
  })

  t.test('what cannot mean anything is refused', async t => {
    for (const [keys, message] of [
      [both('isolated'), /gatewayMode\.ipv4 isolated needs internal true/],
      [{ ...both('nat'), internal: true, isDefaultGateway: false }, /gatewayMode\.ipv4 nat and internal true/],
      [{ snat: { ipv4: '192.0.2.9' } }, /snat\.ipv4 192\.0\.2\.9 needs ipMasq true/],
      [{ ipMasq: true, snat: { ipv4: '2001:db8::9' } }, /is no ipv4 address/],
      [{ ipMasq: true, ipMasqBackend: 'iptables', snat: { ipv4: '192.0.2.9' } }, /choose nftables|exclude each other/],
      [{ trustedInterfaces: ['up0'] }, /trustedInterfaces \["up0"\] needs gatewayMode nat/],
    ] as const) {
      t.throws(() => node.call('ADD', pod, node.config(keys)), message)
      t.throws(() => node.call('STATUS', undefined, node.config(keys)), message)
    }
    t.same(node.links, ['up0'])
  })
})
