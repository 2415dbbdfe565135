// Conditions as `nft` writes them, as many forms as published ports are limited by.
import type { Family } from '#netlink/ip.ts'
import { iifname, ip, ip6 } from '#netlink/nftables/match.ts'
import type { Expr } from '#netlink/nftables/expr.ts'
import { parsePrefix } from './prefix.ts'

const known = 'write `ip saddr 10.0.0.0/8`, `ip6 daddr != fd00::1` or `iifname "eth0"`'
const fields = { 'ip saddr': ip.saddr, 'ip daddr': ip.daddr, 'ip6 saddr': ip6.saddr, 'ip6 daddr': ip6.daddr } as const
const families = { ip: 'ipv4', ip6: 'ipv6' } as const
/** A rule holds 128 expressions (NFT_RULE_MAXEXPRS), a condition up to five; the rest is for what it leads to. */
const MOST = 20
const LONGEST_NAME = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

const matchOf = (family: Family, field: string, isNot: boolean, value: string): readonly Expr[] => {
  if (field === 'iifname') {
    const name = value.replace(/^"(.*)"$/, '$1')
    if (!/^[^\s/:*"]+$/.test(name) || name.length > LONGEST_NAME) throw new RangeError(`${value} is no link's name`)
    return isNot ? iifname.isNot(name) : iifname.is(name)
  }
  const length = family === 'ipv4' ? 32 : 128
  const prefix = parsePrefix(value.includes('/') ? value : `${value}/${length}`)
  if (prefix?.family !== family || families[field.split(' ')[0] as keyof typeof families] !== family)
    throw new RangeError(`"${field} ${value}" says nothing about ${family}`)
  const { in: within, notIn } = fields[field as keyof typeof fields]
  return isNot ? notIn(value) : within(value)
}

/**
 * Conditions that all have to hold.
 * @param tokens one or more words each
 * @throws RangeError that says which is not understood
 */
export const parseConditions = (family: Family, tokens: readonly string[]): readonly Expr[] => {
  const words = tokens.join(' ').split(/\s+/).filter(word => word !== '' && word !== 'meta')
  const matches: Expr[] = []
  let count = 0
  for (let at = 0; at < words.length;) {
    const first = words[at++]!
    const field = first === 'iifname' ? first : `${first} ${words[at++] ?? ''}`
    if (field !== 'iifname' && !Object.hasOwn(fields, field))
      throw new RangeError(`"${field.trim()}" is not understood: ${known}`)
    const isNot = words[at] === '!='
    if (isNot || words[at] === '==') at++
    const value = words[at++]
    if (value === undefined) throw new RangeError(`"${field}" lacks its value: ${known}`)
    count++
    matches.push(...matchOf(family, field, isNot, value))
  }
  if (count > MOST) throw new RangeError(`${count} conditions are too many: a rule of nftables has room for ${MOST}`)
  return matches
}
