// Conditions and operations of a transaction: the compare-and-swap of etcd v3 (rpc.proto, TxnRequest).
import type { Entry } from './store.ts'

export type Condition =
  | { readonly key: string; readonly created: number }
  | { readonly key: string; readonly revision: number }
  | { readonly key: string; readonly value: string }

export type Operation =
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly remove: string }

/** The key does not exist. */
export const absent = (key: string): Condition => ({ key, created: 0 })

/** The key exists and was not written since. */
export const unchanged = ({ key, revision }: Entry): Condition => ({ key, revision })

/** The key was never removed since, though it may have been written. */
export const lasting = ({ key, created }: Entry): Condition => ({ key, created })

/** The key holds exactly this. */
export const holding = (key: string, value: string): Condition => ({ key, value })

/** Writes a key, under a lease if one is named. */
export const put = (key: string, value: string, lease?: string): Operation =>
  ({ put: key, value, ...lease === undefined ? {} : { lease } })

/** Removes a key, which need not exist. */
export const remove = (key: string): Operation => ({ remove: key })

/** Whether a condition holds for what its key holds now. */
export const holds = (condition: Condition, entry: Entry | undefined): boolean => {
  if ('created' in condition) return (entry?.created ?? 0) === condition.created
  if ('revision' in condition) return (entry?.revision ?? 0) === condition.revision
  return entry?.value === condition.value
}
