// Who has a port that is to be published in nftables.
import { familyOf, type Family } from '#netlink/ip.ts'
import { elements, findElement, rules } from '#netlink/nftables/query.ts'
import { inWords, isOfContainer } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { PortTaken } from './port-taken.ts'
import type { Mapping, Publication } from './publication.ts'
import { branchesOf } from './published-nftables-removal.ts'
import { counters, dispatchers, families, maps, placeOf, published, uses } from './published-nftables-table.ts'

interface Holding { readonly family: Family; readonly key: string; readonly owner: string }

/** As bind(2) judges it: the same port, and the same address or all of them. */
const isInTheWay = ({ family, key }: Holding, { protocol, hostIp, hostPort, containerIp }: Mapping): boolean => {
  const parts = key.split(' . ')
  const address = parts.length > 2 ? parts[1] : undefined
  return family === familyOf(containerIp) && parts[0] === protocol && parts.at(-1) === `${hostPort}` &&
    (address === undefined || hostIp === undefined || address === hostIp)
}

/** What a port is called by the rule that leads there, where no map can have it. */
export const remarkOf = (mapping: Mapping): string => `${placeOf(mapping).key} to ${mapping.containerIp}`

/** Ports that are published a second time, by another interface of their container. */
const sharedPorts = (host: Namespace): Holding[] => branchesOf(host, () => true)
  .filter(({ dispatcher }) => dispatcher === 'shared')
  .flatMap(({ owner, chain }) => rules(host.netfilter, published, chain).map(({ comment }) => {
    const [key = '', containerIp = ''] = comment.split(' to ')
    return { family: familyOf(containerIp), key, owner }
  }))

/** Ports that are published on one address of the host. */
const exactPorts = (host: Namespace): Holding[] => families.flatMap(family => {
  const { name, type } = maps[family].exact
  return elements(host.netfilter, published, name, type).map(({ key, comment }) => ({ family, key, owner: comment }))
})

const inMap = (host: Namespace, mapping: Mapping): string[] => {
  const { map, key } = placeOf(mapping)
  const { name, type } = maps[familyOf(mapping.containerIp)][map]
  const element = findElement(host.netfilter, published, name, type, key)
  return element === undefined ? [] : [element.comment]
}

/** Looks for who has a port. What would take looking through is looked through where there is any of it only. */
const holdersOf = (
  host: Namespace, mappings: readonly Mapping[], careful: boolean,
): ((mapping: Mapping) => readonly string[]) => {
  const isAnyOnAll = mappings.some(({ hostIp }) => hostIp === undefined)
  const listed = [
    ...isAnyOnAll && uses(host, counters.special) > 0 ? exactPorts(host) : [],
    // The rule that leads to the chain is one use.
    ...uses(host, dispatchers.shared) > 1 ? sharedPorts(host) : [],
  ]
  return mapping => [
    ...listed.filter(holding => isInTheWay(holding, mapping)).map(({ owner }) => owner),
    ...mapping.hostIp === undefined ? [] : inMap(host, { ...mapping, hostIp: undefined }),
    ...careful ? inMap(host, mapping) : [],
  ]
}

/**
 * Sorts ports by whether another interface of the same container has them.
 * @param careful looks for each port; otherwise the kernel is left to refuse those that somebody has
 * @throws PortTaken when another container has one
 */
export const claim = (
  host: Namespace, { attachment }: Publication, mappings: readonly Mapping[], careful: boolean,
): Record<'free' | 'shared', readonly Mapping[]> => {
  const holders = holdersOf(host, mappings, careful)
  const free: Mapping[] = []
  const shared: Mapping[] = []
  for (const mapping of mappings) {
    const owners = holders(mapping)
    const other = owners.find(owner => !isOfContainer(owner, attachment.containerId))
    if (other !== undefined) throw new PortTaken(mapping, `published by ${inWords(other)}`)
    const list = owners.length > 0 ? shared : free
    list.push(mapping)
  }
  return { free, shared }
}
