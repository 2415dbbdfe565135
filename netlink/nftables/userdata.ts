// User data: the TLVs of libnftnl (include/libnftnl/udata.h), which hold what the kernel does not understand and
// `nft list` shows, comments above all.
import { encoded, u32, type Codec } from '../codec.ts'

/** `nft` reads no longer ones: NFTNL_UDATA_COMMENT_MAXLEN. */
const LONGEST = 128

// NFTNL_UDATA_RULE_COMMENT and its likes of tables, chains and elements
const COMMENT = 0
// NFTNL_UDATA_SET_*
const SET_KEY_ORDER = 0
const SET_DATA_ORDER = 1
const SET_COMMENT = 7

const tlv = (type: number, content: Uint8Array): number[] => [type, content.length, ...content]

const commentTlv = (type: number, comment: string): number[] => {
  const content = new TextEncoder().encode(comment)
  if (content.length > LONGEST || comment.includes('"'))
    throw new RangeError(`no comment that nft can read: ${comment}`)
  return tlv(type, Uint8Array.of(...content, 0))
}

const findComment = (wanted: number, data: Uint8Array): string => {
  for (let at = 0; at + 2 <= data.length;) {
    const [type, length = 0] = data.subarray(at, at + 2)
    if (type === wanted) return new TextDecoder().decode(data.subarray(at + 2, at + 1 + length))
    at += 2 + length
  }
  return ''
}

/** User data of tables, chains, rules and elements: the comment, empty when there is none. */
export const comment: Codec<string> = {
  encode: (out, value) => out.append(Uint8Array.from(commentTlv(COMMENT, value))),
  decode: data => findComment(COMMENT, data),
}

/**
 * What a set or map tells nft beside its comment: the byte orders (datatype.ts) of its keys and of a map's data.
 */
export interface SetUserdata {
  readonly keyOrder: number
  readonly dataOrder: number | undefined
  readonly comment?: string | undefined
}

/** User data of sets and maps; only the comment is read back. */
export const setUserdata: Codec<SetUserdata> = {
  encode(out, { keyOrder, dataOrder, comment }) {
    out.append(Uint8Array.from([
      ...tlv(SET_KEY_ORDER, encoded(u32, keyOrder)),
      ...dataOrder === undefined ? [] : tlv(SET_DATA_ORDER, encoded(u32, dataOrder)),
      ...comment === undefined ? [] : commentTlv(SET_COMMENT, comment),
    ]))
  },
  decode: data => ({ keyOrder: 0, dataOrder: undefined, comment: findComment(SET_COMMENT, data) }),
}
