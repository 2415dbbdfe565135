// Statements: what a rule does, as nft writes it. Verdicts also stand in the elements of verdict maps.
import { be16, encoded, ip, u32 } from '../codec.ts'
import { familyOf } from '../ip.ts'
import type { Expr, Verdict } from './expr.ts'
import { registerAt } from './match.ts'

export const drop: Verdict = { code: 'drop' }
export const accept: Verdict = { code: 'accept' }
/** `return`, a word that TypeScript keeps for itself. */
export const returns: Verdict = { code: 'return' }
/** Goes through a chain and comes back. */
export const jump = (chain: string): Verdict => ({ code: 'jump', chain })
/** Goes through a chain and does not come back. */
export const goto = (chain: string): Verdict => ({ code: 'goto', chain })

export const masquerade: readonly Expr[] = [{ kind: 'masq' }]
const NFT_REG_1 = 1
// NFPROTO_IPV4 and NFPROTO_IPV6 of include/uapi/linux/netfilter.h
const families = { ip: 2, ip6: 10 } as const
const addressSizes = { ip: 4, ip6: 16 } as const

/** `dnat ip to …`, of the address and port that a map has left in the first registers. */
export const dnatToMapped = (family: keyof typeof families): readonly Expr[] => [{
  kind: 'nat', type: 'dnat', family: families[family], address: NFT_REG_1, port: registerAt(addressSizes[family]),
}]

/** `dnat ip to ADDRESS:PORT` */
export const dnatTo = (address: string, port: number): readonly Expr[] => {
  const family = familyOf(address) === 'ipv4' ? 'ip' : 'ip6'
  return [
    { kind: 'immediate', dreg: NFT_REG_1, data: { value: encoded(ip, address) } },
    { kind: 'immediate', dreg: registerAt(addressSizes[family]), data: { value: encoded(be16, port) } },
    ...dnatToMapped(family),
  ]
}

/** `snat ip to ADDRESS` */
export const snatTo = (address: string): readonly Expr[] => {
  const family = familyOf(address) === 'ipv4' ? 'ip' : 'ip6'
  return [
    { kind: 'immediate', dreg: NFT_REG_1, data: { value: encoded(ip, address) } }, ...snatToMapped(family),
  ]
}

/** `snat ip to …`, of the address that a map has left in the first register. */
export const snatToMapped = (family: keyof typeof families): readonly Expr[] =>
  [{ kind: 'nat', type: 'snat', family: families[family], address: NFT_REG_1 }]

const META_MARK = 3

/** `meta mark set meta mark | BITS` */
export const setMark = (bits: number): readonly Expr[] => [
  { kind: 'meta', key: META_MARK, dreg: NFT_REG_1 },
  {
    kind: 'bitwise', sreg: NFT_REG_1, dreg: NFT_REG_1, length: 4,
    mask: encoded(u32, ~bits >>> 0), xor: encoded(u32, bits),
  },
  { kind: 'meta', key: META_MARK, sreg: NFT_REG_1 },
]

/** `meta mark set meta mark & ~BITS` */
export const clearMark = (bits: number): readonly Expr[] => [
  { kind: 'meta', key: META_MARK, dreg: NFT_REG_1 },
  {
    kind: 'bitwise', sreg: NFT_REG_1, dreg: NFT_REG_1, length: 4,
    mask: encoded(u32, ~bits >>> 0), xor: new Uint8Array(4),
  },
  { kind: 'meta', key: META_MARK, sreg: NFT_REG_1 },
]

export const counter: readonly Expr[] = [{ kind: 'counter' }]

const NFT_REG_VERDICT = 0

/** The expression that decides a packet. */
export const decide = (verdict: Verdict): Expr => ({ kind: 'immediate', dreg: NFT_REG_VERDICT, data: { verdict } })
