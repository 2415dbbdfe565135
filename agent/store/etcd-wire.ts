// etcd v3 in the JSON of its gRPC gateway: rpc.proto and kv.proto, bytes as base64, 64-bit integers as strings, and
// whatever has its default value left out.
import type { Entry } from './store.ts'
import type { Condition, Operation } from './transaction.ts'

export interface KeyValue {
  readonly key: string
  readonly value?: string
  readonly mod_revision: string
  readonly create_revision: string
  readonly lease?: string
}

export interface Header { readonly cluster_id: string; readonly revision?: string }

export interface RangeResponse { readonly header: Header; readonly kvs?: readonly KeyValue[] }

export interface TxnResponse {
  readonly header: Header
  readonly succeeded?: boolean
  readonly responses?: readonly { readonly response_range?: RangeResponse }[]
}

export interface WatchResponse {
  readonly header: Header
  readonly created?: boolean
  readonly canceled?: boolean
  readonly cancel_reason?: string
  readonly compact_revision?: string
  readonly events?: readonly { readonly type?: 'DELETE'; readonly kv: KeyValue }[]
}

/** An error as the gateway writes it: google.rpc.Status. */
export interface GatewayError { readonly code?: number; readonly message?: string; readonly error?: string }

export const encoded = (text: string): string => Buffer.from(text).toString('base64')

export const decoded = (text = ''): string => Buffer.from(text, 'base64').toString()

/** The keys that begin with a prefix: up to the first that is greater than all of them. */
export const rangeOf = (prefix: string): { readonly key: string; readonly range_end: string } => {
  const end = Buffer.from(prefix)
  end[end.length - 1]! += 1
  return { key: encoded(prefix), range_end: end.toString('base64') }
}

export const entryOf = ({ key, value, mod_revision, create_revision, lease }: KeyValue): Entry => ({
  key: decoded(key),
  value: decoded(value),
  revision: Number(mod_revision),
  created: Number(create_revision),
  ...lease === undefined ? {} : { lease },
})

export const compareOf = (condition: Condition): object => {
  const same = { key: encoded(condition.key), result: 'EQUAL' }
  if ('created' in condition) return { ...same, target: 'CREATE', create_revision: condition.created }
  if ('revision' in condition) return { ...same, target: 'MOD', mod_revision: condition.revision }
  return { ...same, target: 'VALUE', value: encoded(condition.value) }
}

export const requestOf = (operation: Operation): object => {
  if ('remove' in operation) return { request_delete_range: { key: encoded(operation.remove) } }
  const { put, value, lease } = operation
  return { request_put: { key: encoded(put), value: encoded(value), ...lease === undefined ? {} : { lease } } }
}

export const readOf = (key: string, revision?: number): object =>
  ({ request_range: { key: encoded(key), ...revision === undefined ? {} : { revision } } })

/** What the ranges of a transaction found, in their order. */
export const found = ({ responses = [] }: TxnResponse): readonly (readonly Entry[])[] =>
  responses.map(({ response_range }) => (response_range?.kvs ?? []).map(entryOf))
