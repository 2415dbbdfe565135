// Addresses that are nobody's on any network: RFC 6890 and RFC 4291.
import { overlaps, parsePrefix, type Prefix } from '#net/prefix.ts'

/** This host, loopback, multicast and above, and what a packet cannot be sent to without naming a link. */
const parsed = (...texts: string[]) => texts.map(text => [text, parsePrefix(text)!] as const)
const reserved = {
  ipv4: parsed('0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'),
  ipv6: parsed('::/127', '::ffff:0.0.0.0/96', 'fe80::/10', 'ff00::/8'),
}

/** The reserved addresses that a prefix has some of; undefined when it has none. */
export const reservedAround = (prefix: Prefix): string | undefined =>
  reserved[prefix.family].find(([, other]) => overlaps(other, prefix))?.[0]
