// Who reaches what: each kind of asker, each kind of port, in each gateway mode, with real packets of both families and
// protocols. What ought to be is Docker's: https://docs.docker.com/engine/network/port-publishing/. Prints the table.
import { test } from 'tap'
import type { Test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { trySysctl } from '#net/sysctl.ts'
import { bridge } from '#plugins/bridge/bridge.ts'
import { portmap } from '#plugins/portmap/portmap.ts'
import { ask, serve, type Question } from '../tools/conversation.ts'
import { lacks } from '../tools/kernel.ts'
import { Node } from '../tools/node.ts'

const modes = ['none', 'nat', 'nat-unprotected', 'routed', 'isolated'] as const
const askers = ['itself', 'same bridge', 'other bridge', 'host', 'neighbour'] as const
const families = ['ipv4', 'ipv6'] as const
const protocols = ['tcp', 'udp'] as const

type Mode = typeof modes[number]
type Asker = typeof askers[number]
type Family = typeof families[number]

/** Ports of the container, and where they are published. */
const ports = { everywhere: 80, somewhere: 81, loopback: 82, unpublished: 83 } as const
const PUBLISHED = 8000

/** The host's two addresses on its uplink, the containers' subnet, and the first address in there that is leased. */
const plan = {
  ipv4: { one: '192.0.2.1', other: '192.0.2.11', loopback: '127.0.0.1', subnet: '10.1.1.0/24', target: '10.1.1.2' },
  ipv6: { one: '2001:db8::1', other: '2001:db8::11', loopback: '::1', subnet: 'fd00:a::/64', target: 'fd00:a::2' },
} as const

interface Target {
  readonly name: string
  readonly at: (family: Family) => string
  readonly port: number
  /** Only the host can ask for it. */
  readonly local?: boolean
  readonly reached: (mode: Mode, asker: Asker) => boolean
}

const isTranslated = (mode: Mode): boolean => mode !== 'routed' && mode !== 'isolated'

/** The container's own address: on the bridge there is no router in between, and the host is always let through. */
const directly = (mode: Mode, asker: Asker, whenRouted: (asker: Asker) => boolean): boolean => {
  if (asker === 'itself' || asker === 'same bridge') return true
  if (asker === 'host') return mode !== 'isolated'
  return whenRouted(asker)
}

const targets: readonly Target[] = [
  {
    name: 'host address, published', at: family => plan[family].one, port: PUBLISHED + ports.everywhere,
    reached: isTranslated,
  },
  {
    name: 'the one address, published there', at: family => plan[family].other, port: PUBLISHED + ports.somewhere,
    reached: isTranslated,
  },
  {
    name: 'another address, published elsewhere', at: family => plan[family].one, port: PUBLISHED + ports.somewhere,
    reached: () => false,
  },
  {
    name: 'localhost, published', at: family => plan[family].loopback, port: PUBLISHED + ports.everywhere, local: true,
    reached: isTranslated,
  },
  {
    name: 'localhost, published there', at: family => plan[family].loopback, port: PUBLISHED + ports.loopback,
    local: true, reached: isTranslated,
  },
  {
    name: 'host address, published on localhost', at: family => plan[family].one, port: PUBLISHED + ports.loopback,
    reached: () => false,
  },
  {
    name: 'container address, published', at: family => plan[family].target, port: ports.everywhere,
    reached: (mode, asker) => directly(mode, asker, () =>
      mode === 'none' || mode === 'routed' || mode === 'nat-unprotected' && asker === 'neighbour'),
  },
  {
    name: 'container address, unpublished', at: family => plan[family].target, port: ports.unpublished,
    reached: (mode, asker) => directly(mode, asker, () =>
      mode === 'none' || mode === 'nat-unprotected' && asker === 'neighbour'),
  },
]

const mappings = families.flatMap(family => protocols.flatMap(protocol => [
  ...family === 'ipv4' ? [{ protocol, hostPort: PUBLISHED + ports.everywhere, containerPort: ports.everywhere }] : [],
  { protocol, hostPort: PUBLISHED + ports.somewhere, containerPort: ports.somewhere, hostIP: plan[family].other },
  { protocol, hostPort: PUBLISHED + ports.loopback, containerPort: ports.loopback, hostIP: plan[family].loopback },
]))

/** The whole of one mode: networks, containers, neighbour. */
const scene = async (t: Test, mode: Mode): Promise<Readonly<Record<Asker, Namespace>>> => {
  const keys = mode === 'none' ? {} : { gatewayMode: { ipv4: mode, ipv6: mode } }
  const isolated = mode === 'isolated'
  const node = new Node(t, bridge, {})
  // Where bridged packets pass the hooks of routed ones, answers to ::1 are lost on the bridge: portmap's README.
  for (const family of ['iptables', 'ip6tables']) trySysctl(`bridge/bridge-nf-call-${family}`, '0')
  const network = (name: string, keys: Json, ...subnets: string[]): Json =>
    node.config({ name, bridge: name, ipam: node.ipam(...subnets), ...keys })
  const outside = node.uplink({
    own: families.flatMap(family => [plan[family].one, plan[family].other].map(address =>
      `${address}/${family === 'ipv4' ? 24 : 64}`)),
    there: ['192.0.2.2/24', '2001:db8::2/64'],
  })
  for (const family of families) {
    const { subnet: dst, one: via } = plan[family]
    outside.route.add({ dst, via, dev: outside.link.get('out0').index })
  }
  const [target, near, far] = [node.pod(), node.pod(), node.pod()]
  const ownKeys = { ...keys, internal: isolated, isGateway: true, isDefaultGateway: !isolated }
  const own = network('own', ownKeys, plan.ipv4.subnet, plan.ipv6.subnet)
  const prevResult = node.call('ADD', target, own)
  node.call('ADD', target, { ...own, type: 'portmap', prevResult, runtimeConfig: { portMappings: mappings } },
    { driver: portmap })
  node.call('ADD', near, own, { containerId: 'near' })
  const otherKeys = { isDefaultGateway: true, ...!isolated && keys }
  node.call('ADD', far, network('other', otherKeys, '10.1.2.0/24', 'fd00:b::/64'), { containerId: 'far' })
  await serve(t, target, ...Object.values(ports))
  return { itself: target, 'same bridge': near, 'other bridge': far, host: node.host, neighbour: outside }
}

/** `yes`, `no`, or for which families and protocols. */
const inWords = (answers: readonly { readonly question: string; readonly reached: boolean }[]): string => {
  const yes = answers.filter(({ reached }) => reached)
  if (yes.length === 0) return 'no'
  return yes.length === answers.length ? 'yes' : yes.map(({ question }) => question).join(', ')
}

const kinds = families.flatMap(family => protocols.map(protocol => ({ family, protocol })))

for (const mode of modes) {
  test(`gateway mode ${mode}`, { skip: lacks('nft') }, async t => {
    const places = await scene(t, mode)
    const lines = await Promise.all(askers.map(async asker => {
      const asked = targets.filter(({ local }) => !local || asker === 'host')
      const questions = asked.flatMap(target => kinds.map(({ family, protocol }): Question =>
        ({ protocol, address: target.at(family), port: target.port })))
      const answers = await ask(places[asker], questions)
      return asked.map((target, row) => {
        const cells = kinds.map(({ family, protocol }, column) => ({
          question: `${family} ${protocol}`, reached: answers[row * kinds.length + column] !== undefined,
        }))
        return { asker, target, shown: inWords(cells) }
      })
    }))
    for (const { asker, target, shown } of lines.flat()) {
      t.equal(shown, target.reached(mode, asker) ? 'yes' : 'no', `${asker}: ${target.name}`)
    }
    const width = Math.max(...targets.map(({ name }) => name.length))
    t.comment([`${mode}:`.padEnd(width), ...askers.map(name => name.padEnd(12))].join(' | '))
    for (const { name } of targets) {
      const cells = lines.map(line => line.find(({ target }) => target.name === name)?.shown ?? '-')
      t.comment([name.padEnd(width), ...cells.map(cell => cell.padEnd(12))].join(' | '))
    }
  })
}
