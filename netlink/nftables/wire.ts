// Messages of nf_tables: struct nfgenmsg of include/uapi/linux/netfilter/nfnetlink.h and the attribute tables of
// include/uapi/linux/netfilter/nf_tables.h.
import { attrs, list, nest, struct } from '../attrs.ts'
import type { ByteBuffer } from '../buffer.ts'
import { be16, be32, be64, choice, text, u8, type Codec, type Fixed } from '../codec.ts'
import type { Request } from '../message.ts'
import { data, expressionList, value } from './expr.ts'
import { comment, setUserdata } from './userdata.ts'

export const nfgenmsg = struct({ family: u8, version: u8, resource: be16 })

const NFNL_SUBSYS_NFTABLES = 10

/** NFT_MSG_*. */
export const message = {
  newTable: 0, getTable: 1, delTable: 2, newChain: 3, getChain: 4, delChain: 5, newRule: 6, getRule: 7, delRule: 8,
  newSet: 9, delSet: 11, newElement: 12, getElement: 13, delElement: 14, getGeneration: 16,
} as const

/** NFPROTO_* of include/uapi/linux/netfilter.h; `all` is for dumps. */
export const families = { all: 0, inet: 1, ip: 2, netdev: 5, bridge: 7, ip6: 10 } as const
export type Family = keyof typeof families

const be32signed: Fixed<number> = { ...be32, decode: content => be32.decode(content) | 0 }

export const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const
const policies = { drop: 0, accept: 1 } as const

const hook = nest(attrs({ number: [1, choice(be32, hooks)], priority: [2, be32signed] }))

export const tableAttrs = attrs({ name: [1, text], flags: [2, be32], use: [3, be32], comment: [6, comment] })
export const chainAttrs = attrs({
  table: [1, text], handle: [2, be64], name: [3, text], hook: [4, hook], policy: [5, choice(be32, policies)],
  use: [6, be32], type: [7, text], comment: [12, comment],
})
export const ruleAttrs = attrs({
  table: [1, text], chain: [2, text], handle: [3, be64], expressions: [4, expressionList],
  position: [6, be64], comment: [7, comment],
})
export const setAttrs = attrs({
  table: [1, text], name: [2, text], flags: [3, be32], keyType: [4, be32], keyLength: [5, be32], dataType: [6, be32],
  dataLength: [7, be32], id: [10, be32], userdata: [13, setUserdata],
})
const element = nest(attrs({ key: [1, value], data: [2, data], comment: [6, comment] }))
export const elementsAttrs = attrs({ table: [1, text], set: [2, text], elements: [3, list(1, element)] })
export const generationAttrs = attrs({ id: [1, be32] })

/** A request to nf_tables. `operation` is how nft would say it. */
export const request = <T>(
  operation: string, type: number, flags: number, family: Family, codec: Codec<T>, content: T,
): Request => ({
  operation, type: NFNL_SUBSYS_NFTABLES << 8 | type, flags,
  body(out) {
    nfgenmsg.encode(out, { family: families[family] })
    codec.encode(out, content)
  },
})

const batchAttrs = attrs({ generation: [1, be32] })

const bracket = (operation: string, type: number, generation?: number): Request => ({
  operation, type, flags: 0,
  body(out: ByteBuffer) {
    nfgenmsg.encode(out, { resource: NFNL_SUBSYS_NFTABLES })
    batchAttrs.encode(out, { generation })
  },
})

/**
 * NFNL_MSG_BATCH_BEGIN; with a generation the kernel refuses the batch (ERESTART) when the ruleset is another by now.
 */
export const batchBegin = (generation?: number): Request => bracket('nft transaction', 16, generation)
/** NFNL_MSG_BATCH_END. */
export const batchEnd: Request = bracket('nft transaction', 17)

