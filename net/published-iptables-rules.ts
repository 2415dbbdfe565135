// The rules that publish an attachment's ports in table nat, as the Go suite writes them:
// plugins/meta/portmap/portmap_iptables.go. Other software reads them.
import { familyOf, formatIp, type Family } from '#netlink/ip.ts'
import { chainName, remarkOf } from './iptables-chain.ts'
import { quoted, word, type Rule } from './iptables-rule.ts'
import { parsePrefix, subnetOf } from './prefix.ts'
import type { Mapping, Publication } from './publication.ts'

export const DNAT = 'CNI-HOSTPORT-DNAT'
const SETMARK = 'CNI-HOSTPORT-SETMARK'
const MASQ = 'CNI-HOSTPORT-MASQ'

/** The infix of the names of chains that lead to containers. */
export const INFIX = 'DN-'

// xt_multiport takes no more.
const MOST_PORTS = 15
const LONGEST_COMMENT = 255

/** trimComment of the Go suite. */
const trimmed = (comment: string): string =>
  comment.length <= LONGEST_COMMENT ? comment : `${comment.slice(0, LONGEST_COMMENT - 2)}...`

const marks = ({ snat, externalSetMarkChain }: Publication): boolean => snat && externalSetMarkChain === undefined

/** The chains that all attachments share. */
export const sharedChains = (publication: Publication): readonly string[] =>
  marks(publication) ? [SETMARK, MASQ, DNAT] : [DNAT]

/** The rules that all attachments share. */
export const sharedRules = (publication: Publication): readonly Rule[] => {
  const bit = `0x${(2 ** publication.markMasqBit).toString(16)}`
  const mark = `${bit}/${bit}`
  const marking: readonly Rule[] = [
    { chain: SETMARK, text: `-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${mark}` },
    { chain: MASQ, text: `-m mark --mark ${mark} -j MASQUERADE` },
    // Masquerading of the container's subnet would come first otherwise.
    {
      chain: 'POSTROUTING', text: `-m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ}`, first: true,
    },
  ]
  // Appended, so that published ports do not take traffic away from what was there before: CVE-2019-9946.
  const entry = `-m addrtype --dst-type LOCAL -j ${DNAT}`
  return [
    ...marks(publication) ? marking : [], { chain: 'PREROUTING', text: entry }, { chain: 'OUTPUT', text: entry },
  ]
}

/** The host ports by protocol. One that is published on several addresses of a family counts as often. */
const portsOf = (mappings: readonly Mapping[]): ReadonlyMap<string, readonly number[]> => {
  const ports = new Map<string, number[]>()
  const seen = new Map<string, number>()
  for (const { protocol, hostPort, containerIp } of mappings) {
    const nth = (seen.get(`${familyOf(containerIp)} ${protocol} ${hostPort}`) ?? 0) + 1
    seen.set(`${familyOf(containerIp)} ${protocol} ${hostPort}`, nth)
    const own = ports.get(protocol) ?? []
    // What is published in both families has two mappings, and one entry in the Go suite.
    if (own.filter(port => port === hostPort).length < nth) own.push(hostPort)
    ports.set(protocol, own)
  }
  return new Map([...ports].sort(([one], [other]) => one < other ? -1 : 1))
}

const chunks = (ports: readonly number[]): string[] =>
  Array.from({ length: Math.ceil(ports.length / MOST_PORTS) }, (_, i) =>
    ports.slice(i * MOST_PORTS, (i + 1) * MOST_PORTS).join())

/** A rule of the shared chain that leads to the attachment's, and whether a line of iptables-save is that rule. */
export interface Entry extends Rule { readonly isLike: (line: string) => boolean }

/** The rules that lead to the attachment's chain. Like the Go suite's they name the ports of both families. */
export const entryRules = (publication: Publication, family: Family): readonly Entry[] => {
  const chain = chainName(publication.attachment, INFIX)
  const remark = quoted(trimmed(`dnat ${remarkOf(publication.attachment)}`))
  const conditions = publication.conditions[family].map(condition => `${word(condition)} `).join('')
  return [...portsOf(publication.mappings)].flatMap(([protocol, ports]) => chunks(ports).map(chunk => ({
    chain: DNAT,
    text: `-p ${protocol} -m comment --comment ${remark} -m multiport --dports ${chunk} ${conditions}-j ${chain}`,
    isLike: (line: string) =>
      line.includes(` -p ${protocol} `) && line.includes(` --dports ${chunk} `) && line.endsWith(` -j ${chain}`),
  })))
}

const loopback = '127.0.0.1/32'

/** The rules of the attachment's chain: who is to be masqueraded, then where it goes. */
export const ownRules = (publication: Publication, family: Family): readonly Rule[] => {
  const { attachment, addresses, mappings, snat, masqAll, externalSetMarkChain } = publication
  const prefix = addresses.map(parsePrefix).find(prefix => prefix?.family === family)
  if (prefix === undefined) return []
  const chain = chainName(attachment, INFIX)
  const container = formatIp(prefix.bytes)
  const from = (source: string): string => `-s ${source} `
  // Without a source the rule holds for all of them: -s 0.0.0.0/0 is not printed.
  const sources = masqAll ? [''] : [from(subnetOf(prefix)), ...family === 'ipv4' ? [from(loopback)] : []]
  return mappings.filter(({ containerIp }) => familyOf(containerIp) === family)
    .flatMap(({ protocol, hostIp, hostPort, containerPort }) => {
      const to = hostIp === undefined ? '' : `-d ${hostIp}/${8 * prefix.bytes.length} `
      const packet = `${to}-p ${protocol} -m ${protocol} --dport ${hostPort}`
      const target = `${family === 'ipv4' ? container : `[${container}]`}:${containerPort}`
      return [
        ...snat ? sources.map(source => `${source}${packet} -j ${word(externalSetMarkChain ?? SETMARK)}`) : [],
        `${packet} -j DNAT --to-destination ${target}`,
      ].map(text => ({ chain, text }))
    })
}
