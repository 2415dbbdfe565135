// Messages as tables of codecs: fixed headers, attribute sets, sets whose content depends on a kind.
// Attribute format: include/uapi/linux/netlink.h (struct nlattr); names and numbers: Documentation/netlink/specs.
import { readNumber, type ByteBuffer } from './buffer.ts'
import { bytes, text, type Codec, type Fixed } from './codec.ts'

type Fields = Record<string, Fixed<number>>
type Struct<F extends Fields> = { -readonly [Name in keyof F]: number }

interface StructCodec<F extends Fields> {
  readonly size: number
  encode(out: ByteBuffer, value: Partial<Struct<F>>): void
  decode(bytes: Uint8Array): Struct<F>
}

/** A fixed header: numbers one after another; what is left out is zero. */
export const struct = <const F extends Fields>(fields: F): StructCodec<F> => {
  // Plain loops: what a call runs once costs less without builtins that the engine has to compile first.
  let size = 0
  for (const name in fields) size += fields[name]!.size
  return {
    size,
    encode(out, value) {
      for (const name in fields) fields[name]!.encode(out, value[name] ?? 0)
    },
    decode(data) {
      let at = 0
      const value: Record<string, number> = {}
      for (const name in fields) {
        const field = fields[name]!
        value[name] = field.decode(data, at)
        at += field.size
      }
      return value as Struct<F>
    },
  }
}

/** A header inside an attribute, of which only some numbers matter. */
export const sparse = <F extends Fields>(of: StructCodec<F>): Codec<Partial<Struct<F>>> => of

// A table holds codecs of every value type, which only `never` and `unknown` cannot both express.
type AnyCodec = {
  readonly nested?: true
  encode(out: ByteBuffer, value: never): void
  decode(bytes: Uint8Array): unknown
}
type ValueOf<C> = C extends Codec<infer T> ? T : never
type Table = Record<string, readonly [id: number, codec: AnyCodec]>

/** The value of an attribute table: every key optional, `undefined` not sent. */
export type Attrs<T extends Table> = { -readonly [Name in keyof T]?: ValueOf<T[Name][1]> | undefined }

const NESTED = 0x8000
const TYPE_MASK = 0x3fff

/** Writes one attribute: header, content, padding. */
export const putAttr = <T>(out: ByteBuffer, id: number, codec: Codec<T>, value: T): void => {
  const start = out.reserve(4)
  codec.encode(out, value)
  out.set(start, 2, out.length - start)
  out.set(start + 2, 2, codec.nested ? id | NESTED : id)
  out.align()
}

/** Calls `each` for every attribute in `data`. @throws RangeError on a length that cannot be */
export const eachAttr = (data: Uint8Array, each: (id: number, content: Uint8Array) => void): void => {
  for (let at = 0; at + 4 <= data.length;) {
    const length = readNumber(data, at, 2)
    const id = readNumber(data, at + 2, 2) & TYPE_MASK
    if (length < 4 || at + length > data.length) throw new RangeError(`attribute ${id}: bad length ${length}`)
    each(id, data.subarray(at + 4, at + length))
    at += (length + 3) & ~3
  }
}

/** An attribute set, `name: [number, codec]`. Numbers that the table does not know are skipped on decoding. */
export const attrs = <const T extends Table>(table: T): Codec<Attrs<T>> => {
  const byId = new Map<number, { readonly name: string; readonly codec: AnyCodec }>()
  for (const name in table) byId.set(table[name]![0], { name, codec: table[name]![1] })
  return {
    encode(out, value) {
      for (const name in value) {
        const entry = table[name]
        const part: unknown = value[name]
        if (entry !== undefined && part !== undefined) putAttr(out, entry[0], entry[1] as Codec<unknown>, part)
      }
    },
    decode(data) {
      const value: Record<string, unknown> = {}
      eachAttr(data, (id, content) => {
        const entry = byId.get(id)
        if (entry !== undefined) value[entry.name] = entry.codec.decode(content)
      })
      return value as Attrs<T>
    },
  }
}

/** Marks an attribute set as nested in another. */
export const nest = <T>(codec: Codec<T>): Codec<T> & { readonly nested: true } => ({ ...codec, nested: true })

/** Any number of values, each in an attribute of its own under the same number (NFTA_LIST_ELEM and its like). */
export const list = <T>(id: number, codec: Codec<T>): Codec<readonly T[]> & { readonly nested: true } => ({
  nested: true,
  encode(out, values) {
    for (const value of values) putAttr(out, id, codec, value)
  },
  decode(data) {
    const values: T[] = []
    eachAttr(data, (found, content) => { if (found === id) values.push(codec.decode(content)) })
    return values
  },
})

/** A value behind a fixed header that stays zero, such as the peer of a veth. */
export const headed = <T>(header: { readonly size: number }, body: Codec<T>): Codec<T> => ({
  encode(out, value) {
    out.reserve(header.size)
    body.encode(out, value)
  },
  decode: data => body.decode(data.subarray(header.size)),
})

type Kinds = Record<string, AnyCodec>
/** One shape for each kind, told apart by `kind`. */
export type ByKind<K extends Kinds> =
  { [Name in keyof K & string]: { kind: Name } & ValueOf<K[Name]> }[keyof K & string]

/** A set of a kind's name and the data that this kind has: IFLA_LINKINFO, nftables expressions. */
export const byKind = <const K extends Kinds>(
  kindId: number, dataId: number, kinds: K,
): Codec<ByKind<K>> & { readonly nested: true } => {
  const envelope = attrs({ kind: [kindId, text], data: [dataId, bytes] })
  return {
    nested: true,
    encode(out, { kind, ...data }) {
      putAttr(out, kindId, text, kind)
      putAttr(out, dataId, nest(kinds[kind] as Codec<unknown>), data)
    },
    decode(content) {
      const { kind = '', data } = envelope.decode(content)
      return { kind, ...(data && kinds[kind]?.decode(data) as object | undefined) } as ByKind<K>
    },
  }
}
