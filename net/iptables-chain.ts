// The chain that the Go suite gives an attachment, and the comments on the way there: pkg/utils/utils.go.
import { sha512 } from '#sys/digest.ts'
import type { Attachment } from './attachment.ts'

const LONGEST = 28

/**
 * utils.MustFormatChainNameWithPrefix of the Go suite: the interface plays no part, so two in one network share a
 * chain.
 * @param infix tells apart the plugins: empty for masquerading
 */
export const chainName = ({ network, containerId }: Attachment, infix = ''): string =>
  `CNI-${infix}${sha512(network + containerId)}`.slice(0, LONGEST)

/** What the comments of a network's rules begin with: utils.FormatComment of the Go suite. */
export const networkStart = (network: string): string => `name: "${network}" id: `

/** The comment of an attachment's rules. */
export const remarkOf = ({ network, containerId }: Attachment): string => `${networkStart(network)}"${containerId}"`
