// Names that are derived, not stored: from them alone DEL, CHECK and GC find what an attachment left on the host.
import { sha256 } from '#sys/digest.ts'

/** One interface of one container in one network: what the CNI specification calls an attachment. */
export interface Attachment { readonly network: string; readonly containerId: string; readonly ifName: string }

const PREFIX = 'fairlead:'
const LONGEST_PART = 100

/** A part of an alias; one too long for the 255 bytes of an ifalias is replaced by its digest behind a `~`. */
const part = (text: string, longest = LONGEST_PART): string =>
  text.length > longest ? `~${sha256(text).slice(0, 32)}` : text

/** What every object of a network is labelled with in front: `fairlead:NETWORK/`. */
export const networkLabel = (network: string): string => `${PREFIX}${part(network)}/`

/** Whether a link is labelled for an attachment. */
export const isAttachmentLabel = (alias: string | undefined): boolean =>
  alias !== undefined && alias.startsWith(PREFIX) && !alias.endsWith('/')

/** Whether a link is labelled for a network as a whole, as bridges and VLAN gateways are. */
export const isNetworkLabel = (alias: string | undefined): boolean =>
  alias !== undefined && alias.startsWith(PREFIX) && alias.endsWith('/')

/** The label of an attachment's objects, `fairlead:NETWORK/CONTAINER/IFNAME`: ifalias of links, comment in nftables. */
export const label = ({ network, containerId, ifName }: Attachment): string =>
  `${networkLabel(network)}${part(containerId)}/${ifName}`

/**
 * The name of an attachment's link on the host side: a veth prefix, as other software expects, and 44 bits of a digest.
 */
export const hostLinkName = ({ network, containerId, ifName }: Attachment): string =>
  `veth${sha256(`${network}/${containerId}/${ifName}`).slice(0, 11)}`

/** The name that an attachment's link has in the container until it gets its own. */
export const provisionalLinkName = ({ network, containerId, ifName }: Attachment): string =>
  `new-${sha256(`${network}/${containerId}/${ifName}`).slice(0, 11)}`

// A comment in nftables holds 128 bytes, and none may contain a quotation mark (nft could not read its own list back).
const COMMENT_LENGTH = 127
const LONGEST_NETWORK = 48
const IF_NAME_LENGTH = 15

/** What every nftables comment of a network begins with. The same as `networkLabel` unless the name is long. */
export const networkComment = (network: string): string => `${PREFIX}${part(network, LONGEST_NETWORK)}/`

/**
 * The comment of an attachment's nftables objects: as `label`, but never too long for nft. Parts that are get a digest
 * in their place, so a comment can always be compared with that of a known attachment, but not always be read back.
 */
export const comment = ({ network, containerId, ifName }: Attachment): string => {
  const start = networkComment(network)
  const longest = COMMENT_LENGTH - start.length - 1 - IF_NAME_LENGTH
  const name = ifName.includes('"') ? `~${sha256(ifName).slice(0, IF_NAME_LENGTH - 1)}` : ifName
  return `${start}${part(containerId, longest)}/${name}`
}

/** Whether a comment is that of an attachment of the same container, whatever its network and interface. */
export const isOfContainer = (text: string, containerId: string): boolean => {
  const found = text.startsWith(PREFIX) ? text.split('/')[1] : undefined
  return found === containerId || found === part(containerId, 0)
}

/** An attachment's comment in words, for messages. */
export const inWords = (text: string): string => {
  const [network, container, ifName] = text.startsWith(PREFIX) ? text.slice(PREFIX.length).split('/') : []
  return ifName === undefined ? text || 'somebody else' : `container ${container} (network ${network}, ${ifName})`
}
