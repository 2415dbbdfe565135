// nft expressions as attribute tables: enum nft_*_attributes of include/uapi/linux/netfilter/nf_tables.h.
// Everything on this bus is in network byte order.
import { attrs, byKind, list, nest, type ByKind } from '../attrs.ts'
import { be32, be64, bytes, choice, text, u8, type Codec } from '../codec.ts'

const codes = {
  drop: 0, accept: 1, continue: 0xffffffff, break: 0xfffffffe, jump: 0xfffffffd, goto: 0xfffffffc, return: 0xfffffffb,
} as const

const verdictAttrs = attrs({ code: [1, choice(be32, codes)], chain: [2, text] })

/** What becomes of a packet. `chain` belongs to jump and goto. */
export interface Verdict { readonly code: keyof typeof codes; readonly chain?: string | undefined }

/** NFTA_DATA_*: a value, or a verdict. */
export const data = nest(attrs({ value: [1, bytes], verdict: [2, nest(verdictAttrs)] }))

/** NFTA_DATA_VALUE alone. */
export const value: Codec<Uint8Array> & { readonly nested: true } = {
  nested: true,
  encode: (out, content) => data.encode(out, { value: content }),
  decode: content => data.decode(content).value ?? new Uint8Array(),
}

export const expressions = {
  payload: attrs({ dreg: [1, be32], base: [2, be32], offset: [3, be32], length: [4, be32] }),
  meta: attrs({ dreg: [1, be32], key: [2, be32], sreg: [3, be32] }),
  bitwise: attrs({ sreg: [1, be32], dreg: [2, be32], length: [3, be32], mask: [4, value], xor: [5, value] }),
  cmp: attrs({ sreg: [1, be32], operator: [2, be32], data: [3, value] }),
  lookup: attrs({ set: [1, text], sreg: [2, be32], dreg: [3, be32], flags: [5, be32] }),
  immediate: attrs({ dreg: [1, be32], data: [2, data] }),
  counter: attrs({ bytes: [1, be64], packets: [2, be64] }),
  rt: attrs({ dreg: [1, be32], key: [2, be32] }),
  byteorder: attrs({
    sreg: [1, be32], dreg: [2, be32], operator: [3, be32], length: [4, be32], size: [5, be32],
  }),
  exthdr: attrs({
    dreg: [1, be32], type: [2, u8], offset: [3, be32], length: [4, be32], operator: [6, be32], sreg: [7, be32],
  }),
  fib: attrs({ dreg: [1, be32], result: [2, be32], flags: [3, be32] }),
  ct: attrs({ dreg: [1, be32], key: [2, be32] }),
  nat: attrs({
    type: [1, choice(be32, { snat: 0, dnat: 1 })], family: [2, be32], address: [3, be32], port: [5, be32],
  }),
  masq: attrs({}),
  // An extension of iptables: struct xt_entry_match as iptables-nft writes it.
  match: attrs({ name: [1, text], revision: [2, be32], info: [3, bytes] }),
}

/** One expression. Those that `expressions` does not know are read as their `kind` alone. */
export type Expr = ByKind<typeof expressions>

/** NFTA_RULE_EXPRESSIONS. */
export const expressionList = list(1, byKind(1, 2, expressions))
