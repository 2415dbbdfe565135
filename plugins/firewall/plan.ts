// What an attachment is to the firewall: its addresses, and the device of the host that its packets come through.
import { CniError, invalidConfig } from '#cni/errors.ts'
import type { Result } from '#cni/result.ts'
import type { Admission } from '#net/admission.ts'
import type { Attachment } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { formatPrefix, parsePrefix } from '#net/prefix.ts'
import { hostEnd } from '#net/veth.ts'
import type { Link } from '#netlink/route/link.ts'
import type { Config } from './config.ts'

/** Names that iptables has given away. */
const BUILT_IN = ['INPUT', 'FORWARD', 'OUTPUT', 'ACCEPT', 'DROP', 'QUEUE', 'RETURN']

/** @throws CniError 7 */
export const refuseContradictions = ({ iptablesAdminChainName: name }: Config): void => {
  if (BUILT_IN.includes(name)) {
    throw invalidConfig(`iptablesAdminChainName ${JSON.stringify(name)} is iptables' own`, 'name a chain of yours')
  }
}

/** The addresses of the container's interface, in canonical form; those of other interfaces are none of ours. */
export const ownAddresses = ({ ips, interfaces }: Result, ifName: string): readonly string[] => [...new Set(ips
  .filter(ip => {
    const entry = ip.interface === undefined ? undefined : interfaces[ip.interface]
    return ip.interface === undefined || entry?.name === ifName && entry.sandbox
  })
  .map(({ address }) => parsePrefix(address)).filter(prefix => prefix !== undefined).map(formatPrefix))]

/** The names of the host's links in a result. */
export const hostLinks = ({ interfaces }: Result): readonly string[] =>
  interfaces.filter(({ sandbox }) => !sandbox).map(({ name }) => name)

/** Where an attachment meets the host. */
export interface Meeting {
  /** The device that the host routes its packets through; undefined when there is none. */
  readonly device: string | undefined
  /** Its port of a bridge. */
  readonly port: Link | undefined
}

/** The kernel knows what a result may not tell: older versions have no interfaces in it. */
export const meet = (host: Namespace, pod: Namespace, ifName: string, previous: Result): Meeting => {
  const end = hostEnd(host, pod, pod.link.find(ifName))
  const master = end?.master === undefined ? undefined : host.link.at(end.master)
  if (master?.info.kind !== 'bridge') return { device: end?.name, port: undefined }
  // With a VLAN it is not the bridge that carries the gateway's address.
  const gateway = hostLinks(previous)
    .find(name => name.startsWith(`${master.name}.`) && /^\d{1,4}$/.test(name.slice(master.name.length + 1)))
  return { device: gateway ?? master.name, port: end }
}

/** @throws CniError 104 when a policy is asked for where none of the host's devices sees the packets */
export const admissionOf = (
  { ingressPolicy, iptablesAdminChainName: adminChain }: Config, attachment: Attachment, previous: Result,
  { device: bridge }: Meeting,
): Admission => {
  if (ingressPolicy !== 'open' && bridge === undefined) {
    throw new CniError(
      'unsupportedByKernel',
      `ingressPolicy ${JSON.stringify(ingressPolicy)}: ${attachment.ifName} has no end on the host`,
      'it is for veth pairs, such as those of bridge and ptp',
    )
  }
  return { attachment, addresses: ownAddresses(previous, attachment.ifName), ingressPolicy, bridge, adminChain }
}
