// Matches, written as nft prints them: `ip.saddr.in('10.0.0.0/8')`, `iifname.is('eth0')`,
// `ip.daddr.vmap('masquerade4')`. They encode to what nft itself sends for rules in tables of family inet (ip, ip6,
// iifname, oifname) and bridge (ether, iifname, oifname); match.test.ts holds both against each other.
import { encoded, u32 } from '../codec.ts'
import { encodeKey, padded, sizesOf, type KeyType } from './datatype.ts'
import type { Expr } from './expr.ts'

// include/uapi/linux/netfilter/nf_tables.h
const NFT_REG_VERDICT = 0
const NFT_REG_1 = 1
const NFT_REG32_00 = 8
const PAYLOAD_LINK_HEADER = 0
const PAYLOAD_NETWORK_HEADER = 1
const PAYLOAD_TRANSPORT_HEADER = 2
const META_MARK = 3
const META_IIF = 4
const META_IIFNAME = 6
const META_OIFNAME = 7
const META_NFPROTO = 15
const META_L4PROTO = 16
const META_IIFKIND = 26
const META_OIFKIND = 27
const CT_STATE = 0
const CT_STATUS = 2
const FIB_RESULT_OIF = 1
const FIB_RESULT_ADDRTYPE = 3
const FIB_F_SADDR = 1
const FIB_F_DADDR = 2
const FIB_F_IIF = 8
const RTN_LOCAL = 2 // include/uapi/linux/rtnetlink.h
const CMP_EQ = 0
const CMP_NEQ = 1
const LOOKUP_F_INV = 1

/** Something of a packet that can be compared: where it is found, and what has to be so for it to be there. */
interface Field {
  readonly type: KeyType
  readonly requires: readonly Expr[]
  readonly load: (dreg: number) => Expr
}

const compare = (operator: number, content: Uint8Array): Expr =>
  ({ kind: 'cmp', sreg: NFT_REG_1, operator, data: content })

/** The number of the register that begins so many bytes behind the first; every sixteenth byte has one of old. */
export const registerAt = (offset: number): number =>
  offset % 16 === 0 ? NFT_REG_1 + offset / 16 : NFT_REG32_00 + offset / 4

/** The parts of a key side by side; what they require comes first, because it uses the first register, too. */
const lookups = (...fields: readonly Field[]) => {
  let at = 0
  const load = [...fields.flatMap(({ requires }) => requires), ...fields.map(({ type, load }) => {
    const register = registerAt(at)
    at += padded(sizesOf(type)[0]!)
    return load(register)
  })]
  return {
    /** `FIELD @SET` */
    inSet: (set: string): Expr[] => [...load, { kind: 'lookup', sreg: NFT_REG_1, set }],
    /** `FIELD != @SET` */
    notInSet: (set: string): Expr[] => [...load, { kind: 'lookup', sreg: NFT_REG_1, set, flags: LOOKUP_F_INV }],
    /** `FIELD vmap @MAP` */
    vmap: (map: string): Expr[] => [...load, { kind: 'lookup', sreg: NFT_REG_1, dreg: NFT_REG_VERDICT, set: map }],
    /** `FIELD map @MAP`: the value goes to the first register, for a statement that follows. */
    map: (map: string): Expr[] => [...load, { kind: 'lookup', sreg: NFT_REG_1, dreg: NFT_REG_1, set: map }],
  }
}

const equality = ({ type, requires, load }: Field) => {
  const test = (operator: number) => (key: string): Expr[] =>
    [...requires, load(NFT_REG_1), compare(operator, encodeKey(type, key))]
  return { is: test(CMP_EQ), isNot: test(CMP_NEQ) }
}

/** The first `length` bits set. */
const maskOf = (size: number, length: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => 0xff00 >> Math.min(8, Math.max(0, length - 8 * i)) & 0xff)

const isOfFamily = (number: number): readonly Expr[] =>
  [{ kind: 'meta', key: META_NFPROTO, dreg: NFT_REG_1 }, compare(CMP_EQ, Uint8Array.of(number))]

/** `meta nfproto ipv4` and `ipv6`, in tables that see both. NFPROTO_* of include/uapi/linux/netfilter.h. */
export const nfproto = { ipv4: isOfFamily(2), ipv6: isOfFamily(10) }

const address = (
  type: 'ipv4_addr' | 'ipv6_addr', requires: readonly Expr[], offset: number, size: number,
) => {
  const read = (dreg: number, length: number): Expr =>
    ({ kind: 'payload', dreg, base: PAYLOAD_NETWORK_HEADER, offset, length })
  const field: Field = { type, requires, load: dreg => read(dreg, size) }

  const test = (operator: number) => (prefix: string): Expr[] => {
    const [network = '', bits = `${8 * size}`] = prefix.split('/')
    const length = Number(bits)
    const mask = maskOf(size, length)
    const content = encodeKey(type, network).map((byte, i) => byte & mask[i]!)
    // As nft does: whole bytes are read no further than they count, anything else is masked.
    if (length > 0 && length % 8 === 0)
      return [...requires, read(NFT_REG_1, length / 8), compare(operator, content.subarray(0, length / 8))]
    return [
      ...requires, read(NFT_REG_1, size),
      { kind: 'bitwise', sreg: NFT_REG_1, dreg: NFT_REG_1, length: size, mask, xor: new Uint8Array(size) },
      compare(operator, content),
    ]
  }
  return { ...field, ...equality(field), ...lookups(field), in: test(CMP_EQ), notIn: test(CMP_NEQ) }
}

const named = (key: number) => {
  const field: Field = { type: 'ifname', requires: [], load: dreg => ({ kind: 'meta', key, dreg }) }
  return {
    ...field, ...equality(field), ...lookups(field),
    /** `FIELD != "TEXT*"` */
    beginsNot: (start: string): Expr[] =>
      [field.load(NFT_REG_1), compare(CMP_NEQ, new TextEncoder().encode(start))],
  }
}

const hardware = (offset: number) => {
  const field: Field = {
    type: 'ether_addr', requires: [],
    load: dreg => ({ kind: 'payload', dreg, base: PAYLOAD_LINK_HEADER, offset, length: 6 }),
  }
  return { ...field, ...equality(field), ...lookups(field) }
}

// Offsets in struct iphdr, ipv6hdr and ethhdr.
export const ip = {
  saddr: address('ipv4_addr', nfproto.ipv4, 12, 4), daddr: address('ipv4_addr', nfproto.ipv4, 16, 4),
}
export const ip6 = {
  saddr: address('ipv6_addr', nfproto.ipv6, 8, 16), daddr: address('ipv6_addr', nfproto.ipv6, 24, 16),
}
export const ether = { daddr: hardware(0), saddr: hardware(6) }
export const iifname = named(META_IIFNAME)
export const oifname = named(META_OIFNAME)
/** `meta iifkind` and `oifkind`: of what kind a link is, `bridge`. */
export const iifkind = named(META_IIFKIND)
export const oifkind = named(META_OIFKIND)

const plain = (type: KeyType, load: Field['load']) => {
  const field: Field = { type, requires: [], load }
  return { ...field, ...equality(field), ...lookups(field) }
}

/** `meta l4proto` */
export const l4proto = plain('inet_proto', dreg => ({ kind: 'meta', key: META_L4PROTO, dreg }))

const port = (offset: number) => plain('inet_service', dreg =>
  ({ kind: 'payload', dreg, base: PAYLOAD_TRANSPORT_HEADER, offset, length: 2 }))
/** Ports of any protocol that has them where TCP does: compare `meta l4proto`, too. */
export const th = { sport: port(0), dport: port(2) }

/** Bits of a number in host order: `FIELD & BITS` is, or is not, zero. */
const flagged = (load: (dreg: number) => Expr) => (bits: number): Expr[] => [
  load(NFT_REG_1),
  {
    kind: 'bitwise', sreg: NFT_REG_1, dreg: NFT_REG_1, length: 4, mask: encoded(u32, bits), xor: new Uint8Array(4),
  },
  compare(CMP_NEQ, new Uint8Array(4)),
]

// NF_CT_STATE_BIT and enum ip_conntrack_status of include/uapi/linux/netfilter/nf_conntrack_common.h
const states = { invalid: 1, established: 2, related: 4, new: 8 } as const
const IPS_DST_NAT = 1 << 5

const ctState = flagged(dreg => ({ kind: 'ct', key: CT_STATE, dreg }))
const ctStatus = flagged(dreg => ({ kind: 'ct', key: CT_STATUS, dreg }))

export const ct = {
  /** `ct state ONE,OTHER` */
  state: (...names: (keyof typeof states)[]): Expr[] => ctState(names.reduce((bits, name) => bits | states[name], 0)),
  /** `ct status dnat` */
  isTranslated: ctStatus(IPS_DST_NAT) as readonly Expr[],
}

/** `meta mark & BITS != 0` */
export const markHas: (bits: number) => Expr[] = flagged(dreg => ({ kind: 'meta', key: META_MARK, dreg }))

/** `fib daddr type local`: the packet is for one of the host's own addresses. */
export const isForHost: readonly Expr[] = [
  { kind: 'fib', dreg: NFT_REG_1, result: FIB_RESULT_ADDRTYPE, flags: FIB_F_DADDR },
  compare(CMP_EQ, encoded(u32, RTN_LOCAL)),
]

/** `fib saddr type != local`: the packet has not come from the host itself. */
export const isFromElsewhere: readonly Expr[] = [
  { kind: 'fib', dreg: NFT_REG_1, result: FIB_RESULT_ADDRTYPE, flags: FIB_F_SADDR },
  compare(CMP_NEQ, encoded(u32, RTN_LOCAL)),
]

/** `fib saddr . iif oif != 0`: the answer would leave by the link that the packet has come from. */
export const isFromItsLink: readonly Expr[] = [
  { kind: 'fib', dreg: NFT_REG_1, result: FIB_RESULT_OIF, flags: FIB_F_SADDR | FIB_F_IIF },
  compare(CMP_NEQ, new Uint8Array(4)),
]

/** `fib saddr . iif oif 0`: the answer would leave by another link, or not at all. */
export const isFromWrongLink: readonly Expr[] = [
  { kind: 'fib', dreg: NFT_REG_1, result: FIB_RESULT_OIF, flags: FIB_F_SADDR | FIB_F_IIF },
  compare(CMP_EQ, new Uint8Array(4)),
]

/**
 * `iif 0`: behind routing, the packet is the host's own, or one that a bridge passes on to another of its ports with
 * br_netfilter looking.
 */
export const hasNoIngress: readonly Expr[] = [
  { kind: 'meta', key: META_IIF, dreg: NFT_REG_1 }, compare(CMP_EQ, new Uint8Array(4)),
]

/** `FIRST . SECOND . THIRD`, for sets and maps of such keys. */
export const concat = (...fields: readonly Field[]): ReturnType<typeof lookups> => lookups(...fields)
