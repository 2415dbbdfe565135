// What a device was before a container got it, written on the device itself: alternative names (`ip link property`)
// stay with it across namespaces and renames, and end when it does. The first part of each says whose it is.
import type { Attachment } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { parseMac } from '#netlink/mac.ts'
import type { Link } from '#netlink/route/link.ts'
import { sha256 } from '#sys/digest.ts'
import { statusOf } from '#sys/file.ts'

/** What a device gets back when it comes home. */
export interface Past {
  readonly name: string
  readonly mtu: number
  /** Empty for links without a hardware address. */
  readonly mac: string
  readonly up: boolean
  readonly alias: string
}

const LONGEST = 127 // ALTIFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

/**
 * What the marks of a host begin with. The namespace is in it because a container may be a host itself, and what it
 * lends on has then been lent to it.
 */
const hostMark = ({ fd }: Namespace): string => `fairlead-device-${statusOf(fd).inode}-`

/** What the marks of a network begin with. */
export const networkMark = (host: Namespace, network: string): string =>
  `${hostMark(host)}${sha256(network).slice(0, 12)}-`

/** What the marks of an attachment begin with. */
export const mark = (host: Namespace, { network, containerId, ifName }: Attachment): string =>
  `${networkMark(host, network)}${sha256(`${containerId}/${ifName}`).slice(0, 16)}-`

// An alternative name should have no character that systemd refuses in one: no white space and none of / : %.
const escaped = (text: string): string => encodeURIComponent(text).replaceAll('%', '=')
const unescaped = (text: string): string => decodeURIComponent(text.replaceAll('=', '%'))

/** The alternative names that record what a device is and who gets it. */
export const marksFor = (host: Namespace, attachment: Attachment, link: Link): readonly string[] => {
  const { name, mtu, address = '', up, alias = '' } = link
  const text = [name, `${mtu}`, address, up ? 'up' : 'down', alias].map(escaped).join(',')
  const owner = mark(host, attachment)
  const room = LONGEST - owner.length - '00-'.length
  return Array.from({ length: Math.ceil(text.length / room) }, (_, i) =>
    `${owner}${`${i}`.padStart(2, '0')}-${text.slice(i * room, (i + 1) * room)}`)
}

/** The marks that this host has put on a link; `of` narrows them down to a network's or an attachment's. */
export const marksOn = ({ altNames = [] }: Link, host: Namespace, of = hostMark(host)): readonly string[] =>
  altNames.filter(name => name.startsWith(of)).sort()

/** Whether the kernel would take it for a link's name and not for a pattern of one. */
export const isLinkName = (text: string): boolean =>
  /^[^\s/:%]{1,15}$/.test(text) && text !== '.' && text !== '..'

const NUMBERED = /^(.*-)(\d\d)-(.*)$/

/** What a device was, undefined when its marks do not say it: whoever has the device can take them off. */
export const pastOf = (link: Link, host: Namespace): Past | undefined => {
  const parts = marksOn(link, host).map(name => NUMBERED.exec(name.slice(hostMark(host).length)) ?? [])
  const text = parts.filter(([, owner]) => owner === parts[0]?.[1]).map(([, , , part = '']) => part).join('')
  try {
    const [name = '', mtu = '', mac = '', state = '', alias] = text.split(',').map(unescaped)
    const isSound = isLinkName(name) && /^\d{1,9}$/.test(mtu) && (mac === '' || parseMac(mac) !== undefined)
    if (!isSound || alias === undefined) return undefined
    return { name, mtu: Number(mtu), mac, up: state === 'up', alias }
  } catch {
    return undefined // decodeURIComponent throws on what is no encoding
  }
}
