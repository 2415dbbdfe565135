// `tcp flags syn tcp option maxseg size set rt mtu`: the largest segment that a connection is opened with is made to
// fit the way that its packets take. As nft writes it: expressions of include/uapi/linux/netfilter/nf_tables.h.
import type { Expr } from './expr.ts'
import { l4proto } from './match.ts'

const NFT_REG_1 = 1
const PAYLOAD_TRANSPORT_HEADER = 2
const FLAGS = 13 // in struct tcphdr
const SYN = 2
const CMP_NEQ = 1
const NFT_RT_TCPMSS = 3
const HTON = 1
const NFT_EXTHDR_OP_TCPOPT = 1
const MAXSEG = 2 // RFC 9293, section 3.1
const SIZE = { offset: 2, length: 2 } // of the value in that option

export const clampSegmentSize: readonly Expr[] = [
  ...l4proto.is('tcp'),
  { kind: 'payload', dreg: NFT_REG_1, base: PAYLOAD_TRANSPORT_HEADER, offset: FLAGS, length: 1 },
  {
    kind: 'bitwise', sreg: NFT_REG_1, dreg: NFT_REG_1, length: 1, mask: Uint8Array.of(SYN), xor: Uint8Array.of(0),
  },
  { kind: 'cmp', sreg: NFT_REG_1, operator: CMP_NEQ, data: Uint8Array.of(0) },
  { kind: 'rt', dreg: NFT_REG_1, key: NFT_RT_TCPMSS },
  { kind: 'byteorder', sreg: NFT_REG_1, dreg: NFT_REG_1, operator: HTON, length: SIZE.length, size: SIZE.length },
  { kind: 'exthdr', sreg: NFT_REG_1, type: MAXSEG, ...SIZE, operator: NFT_EXTHDR_OP_TCPOPT },
]
