// fairlead agent, fairlead overlay …, fairlead host …: the agent, and what is in its store.
import { CniError } from '#cni/errors.ts'
import type { PoolRangeConfig } from '#cni/cluster/pool.ts'
import { Namespace } from '#net/namespace.ts'
import { familyOf } from '#netlink/ip.ts'
import { foundCluster } from '#agent/cluster.ts'
import { removeHost } from '#agent/departure.ts'
import { listHosts, listNetworks, type HostEntry, type NetworkEntry } from '#agent/inventory.ts'
import { readStore, runAgent, type Values } from '#agent/main.ts'
import { createNetwork, isEncrypted, type NetworkWish, type OverlayWish } from '#agent/network.ts'
import { retireNetwork } from '#agent/network-removal.ts'
import { NoNetwork, OverlayError } from '#agent/overlay-error.ts'
import { openStore } from '#agent/store-choice.ts'
import { chooseSubnet } from '#agent/subnet-choice.ts'
import type { Store } from '#agent/store/store.ts'
import { Misuse } from './misuse.ts'
import type { Shell } from './shell.ts'
import { textTable } from './text-table.ts'

/** How long hosts have to give back what no container uses, in milliseconds. */
const PATIENCE = 10_000

/** With advice where there is some. */
const explained = async <T>(step: () => Promise<T>): Promise<T> => {
  try {
    return await step()
  } catch (error) {
    if (!(error instanceof OverlayError)) throw error
    throw new CniError('internal', error.message, error.advice, { cause: error })
  }
}

const withStore = async <T>(options: Values, step: (store: Store) => Promise<T>): Promise<T> =>
  await explained(async () => {
    const store = openStore(readStore(options))
    try {
      return await step(store)
    } finally {
      store.close()
    }
  })

const number = (options: Values, key: string): number | undefined => {
  const text = options[key]
  if (text === undefined) return undefined
  if (!/^\d+$/.test(String(text))) throw new Misuse(`--${key} ${String(text)} is no number`)
  return Number(text)
}

const texts = (options: Values, key: string): readonly string[] => (options[key] ?? []) as readonly string[]

const subnetsFor = async (store: Store, options: Values): Promise<readonly string[]> => {
  const named = texts(options, 'subnet')
  if (named.length > 0) return named
  using host = Namespace.host()
  return [await chooseSubnet(store, host)]
}

const OVERLAY_ONLY = ['flat', 'internal', 'encryption', 'vni', 'port', 'mtu'] as const
const POOL_ONLY = ['range-start', 'range-end', 'gateway'] as const

const refuseOptions = (options: Values, keys: readonly string[], why: string): void => {
  const wrong = keys.find(key => options[key] !== undefined)
  if (wrong !== undefined) throw new Misuse(`--${wrong} ${why}`)
}

/** A range of each subnet; the addresses of its family among the options are its own. */
const poolRanges = (subnets: readonly string[], options: Values): readonly PoolRangeConfig[] => {
  const find = (key: typeof POOL_ONLY[number], subnet: string): string | undefined =>
    texts(options, key).find(text => familyOf(text) === familyOf(subnet))
  return subnets.map((subnet, i) => {
    const length = texts(options, 'block-length')[i]
    return {
      subnet, rangeStart: find('range-start', subnet), rangeEnd: find('range-end', subnet),
      gateway: find('gateway', subnet), ...length === undefined ? {} : { blockLength: Number(length) },
    }
  })
}

const wishOf = async (store: Store, options: Values): Promise<NetworkWish> => {
  if (options['pool'] === true) {
    refuseOptions(options, OVERLAY_ONLY, 'is for overlays: a pool is addresses alone')
    if (texts(options, 'subnet').length === 0) throw new Misuse('--pool takes the --subnet that the hosts are on')
    return { addressing: 'pool', ranges: poolRanges(texts(options, 'subnet'), options) }
  }
  refuseOptions(options, POOL_ONLY, 'takes --pool')
  const lengths = texts(options, 'block-length')
  const odd = lengths.find(text => !/^\d+$/.test(text))
  if (odd !== undefined) throw new Misuse(`--block-length ${odd} is no number`)
  const subnets = await subnetsFor(store, options)
  if (lengths.length > subnets.length) throw new Misuse('more --block-length than --subnet')
  const ranges = subnets.map((subnet, i) => ({
    subnet, ...lengths[i] === undefined ? {} : { blockLength: Number(lengths[i]) },
  }))
  const [vni, port, mtu] = ['vni', 'port', 'mtu'].map(key => number(options, key))
  const encryption = options['encryption'] as OverlayWish['encryption']
  return {
    ranges, addressing: options['flat'] === true ? 'flat' : 'hostSubnet', internal: options['internal'] === true,
    ...vni === undefined ? {} : { vni }, ...port === undefined ? {} : { port }, ...mtu === undefined ? {} : { mtu },
    ...encryption === undefined ? {} : { encryption },
  }
}

const create = async (store: Store, network: string, options: Values): Promise<NetworkEntry | undefined> => {
  const wish = await wishOf(store, options)
  await foundCluster(store)
  await createNetwork(store, network, wish)
  return (await listNetworks(store)).find(entry => entry.network === network)
}

/** How a network is, in a word or some. */
const natureOf = ({ addressing, internal = false, encryption = 'none' }: NetworkEntry): string =>
  [addressing, ...internal ? ['internal'] : [], ...encryption === 'none' ? [] : [encryption]].join(', ')

const networkTable = (networks: readonly NetworkEntry[]): string =>
  textTable(['NETWORK', 'VNI', 'ADDRESSING', 'SUBNETS', 'HOSTS', 'BLOCKS'], networks.map(network => [
    network.network, network.addressing === 'pool' ? '-' : `${network.vni}`, natureOf(network),
    network.ranges.map(({ subnet }) => subnet).join(', '),
    `${new Set(network.blocks.map(({ host }) => host)).size}`, `${network.blocks.length} of ${network.capacity}`,
  ]))

const factsOf = (network: NetworkEntry): readonly (readonly [string, string])[] => {
  if (network.addressing !== 'pool') {
    return [
      ['vni', `${network.vni}`],
      ['UDP port', isEncrypted(network) ? 'wireguard-port of each agent' : `${network.port}`],
      ['encryption', network.encryption ?? 'none'],
      ['addressing', network.addressing], ['internal', network.internal ? 'yes' : 'no'],
      ['mtu', network.mtu === undefined ? 'what fits' : `${network.mtu}`],
      ...network.ranges.map(({ subnet, blockLength }) => ['subnet', `${subnet} in blocks of /${blockLength}`] as const),
    ]
  }
  return [
    ['addressing', 'pool: addresses of a segment, without a tunnel'],
    ...network.ranges.flatMap(({ subnet, blockLength, rangeStart, rangeEnd, gateway }) => [
      ['subnet', `${subnet} in blocks of /${blockLength}`], ['range', `${rangeStart} to ${rangeEnd}`],
      ['gateway', gateway],
    ] as const),
  ]
}

const detail = (network: NetworkEntry, hosts: readonly HostEntry[]): string => {
  const facts = [['network', network.network], ...factsOf(network)] as const
  const stateOf = (id: string): string => {
    const host = hosts.find(one => one.host === id)
    return host === undefined ? 'removed' : host.alive ? 'alive' : 'silent'
  }
  const nameOf = (id: string): string => hosts.find(one => one.host === id)?.name ?? ''
  const blocks = textTable(['BLOCK', 'HOST', 'NAME', 'STATE'],
    network.blocks.map(({ block, host }) => [block, host, nameOf(host), stateOf(host)]))
  const statics = network.statics.length === 0 ? '' : `\n${textTable(['ADDRESS', 'HOST', 'CONTAINER', 'INTERFACE'],
    network.statics.map(({ ip, host, container, ifname }) => [ip, host, container, ifname]))}`
  return `${facts.map(([key, value]) => `${`${key}:`.padEnd(12)}${value}\n`).join('')}\n${blocks}${statics}`
}

const stateOf = ({ alive, silentSince }: HostEntry): string => {
  if (alive) return 'alive'
  if (silentSince === undefined) return 'silent'
  return `silent for ${Math.max(0, Math.round((Date.now() - silentSince) / 1000))} s`
}

const hostTable = (hosts: readonly HostEntry[]): string =>
  textTable(['HOST', 'NAME', 'ADDRESS', 'STATE', 'BLOCKS', 'NETWORKS', 'VERSION'], hosts.map(host => [
    host.host, host.name, host.address, stateOf(host), `${host.blocks}`, host.networks.join(', '), host.version ?? '',
  ]))

const required = (verb: string, operand: string | undefined): string => {
  if (operand === undefined) throw new Misuse(`${verb} takes a name`)
  return operand
}

const refuse = (verb: string, operand: string | undefined): void => {
  if (operand !== undefined) throw new Misuse(`${verb} takes no name`)
}

const shown = (options: Values, value: unknown, table: () => string): string =>
  options['json'] === true ? `${JSON.stringify(value, null, 2)}\n` : table()

export const overlay = async (
  [verb = '', operand]: readonly string[], options: Values, shell: Shell,
): Promise<void> => await withStore(options, async store => {
  switch (verb) {
    case 'create': {
      const made = await create(store, required('overlay create', operand), options)
      return shell.print(shown(options, made, () => detail(made!, [])))
    }
    case 'list': {
      refuse('overlay list', operand)
      const networks = await listNetworks(store)
      return shell.print(shown(options, networks, () => networkTable(networks)))
    }
    case 'inspect': {
      const name = required('overlay inspect', operand)
      const network = (await listNetworks(store)).find(entry => entry.network === name)
      if (network === undefined) throw new NoNetwork(store.name, name)
      const hosts = await listHosts(store)
      return shell.print(shown(options, network, () => detail(network, hosts)))
    }
    case 'rm': return await retireNetwork(store, required('overlay rm', operand), PATIENCE)
    default: throw new Misuse(`overlay ${verb}: create, list, inspect or rm is expected`)
  }
})

export const host = async (
  [verb = '', operand]: readonly string[], options: Values, shell: Shell,
): Promise<void> => await withStore(options, async store => {
  switch (verb) {
    case 'list': {
      refuse('host list', operand)
      const hosts = await listHosts(store)
      return shell.print(shown(options, hosts, () => hostTable(hosts)))
    }
    case 'rm': {
      const name = required('host rm', operand)
      if (!await removeHost(store, name, options['force'] === true))
        throw new OverlayError('invalid', `there is no host ${name} in ${store.name}`, 'see `fairlead host list`')
      return
    }
    default: throw new Misuse(`host ${verb}: list or rm is expected`)
  }
})

export const agent = async (options: Values, shell: Shell): Promise<void> =>
  await explained(() => runAgent(options, shell.print, shell.complain))
