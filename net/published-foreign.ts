// Ports that somebody has published with the rules of the Go suite: its plugins before an upgrade, or our iptables
// backend. The rules of two owners would stand one behind the other, and only the first would ever be reached.
import { familyOf } from '#netlink/ip.ts'
import { findChain } from '#netlink/nftables/query.ts'
import { readTable } from './iptables.ts'
import { chainName } from './iptables-chain.ts'
import { rulesOfChain } from './iptables-rule.ts'
import { chainOfLine } from './iptables-removal.ts'
import { placesAmong, tableName } from './iptables-tables.ts'
import type { Namespace } from './namespace.ts'
import { PortTaken } from './port-taken.ts'
import type { Mapping, Publication } from './publication.ts'
import { DNAT, INFIX } from './published-iptables-rules.ts'
import * as reference from './published-reference.ts'

/** The rules of PREROUTING and OUTPUT that lead to the shared chain. */
const JUMPS = 2

/** Whether a line of iptables-save publishes a port that is wanted, on all addresses or the same. */
const isInTheWay = (line: string, { protocol, hostIp, hostPort }: Mapping): boolean => {
  if (!line.includes(` -p ${protocol} `) || !line.includes(` --dport ${hostPort} -j DNAT `)) return false
  const on = / -d (\S+)\/\d+ /.exec(line)?.[1]
  return on === undefined || hostIp === undefined || on === hostIp
}

/** The container and network of a branch, from the comment of the rule that leads there. */
const ownerOf = (lines: readonly string[], chain: string): { readonly network: string; readonly id: string } => {
  const jump = rulesOfChain(lines, DNAT).find(line => chainOfLine(line) === chain)
  const [, network = '', id = ''] = /dnat name: \\"(.*?)\\" id: \\"(.*?)(?:\\"|\.\.\.)/.exec(jump ?? '') ?? []
  return { network, id }
}

/**
 * Refuses ports that another container has published with the Go suite's rules. Costs a question or two where there
 * are none, and an iptables-save for each family where there are.
 * @param present the names of all tables of the host
 * @throws PortTaken naming the container
 */
export const refusePublished = (
  host: Namespace, present: ReadonlySet<string>, { attachment, mappings }: Publication,
): void => {
  for (const place of placesAmong(present, 'nat')) {
    const wanted = mappings.filter(({ containerIp }) => familyOf(containerIp) === place.family)
    const use = wanted.length > 0 ? findChain(host.netfilter, tableName(place), DNAT)?.use ?? 0 : 0
    if (use <= JUMPS) continue
    const lines = readTable(host, place)
    const own = `-A ${chainName(attachment, INFIX)} `
    const branches = lines.filter(line =>
      line.startsWith('-A CNI-DN-') && !line.startsWith(own) && line.includes(' -j DNAT '))
    for (const mapping of wanted) for (const line of branches.filter(line => isInTheWay(line, mapping))) {
      const { network, id } = ownerOf(lines, line.split(' ')[1]!)
      if (id !== '' && id !== attachment.containerId)
        throw new PortTaken(mapping, `published by container ${id} (network ${network}) with iptables`)
    }
  }
  if (!reference.isThere(present)) return
  for (const mapping of mappings) {
    const id = reference.holderOf(host, mapping, attachment.containerId)
    if (id !== undefined) throw new PortTaken(mapping, `published by container ${id}, in table cni_hostport`)
  }
}
