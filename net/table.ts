// The nftables tables that are ours. Several subjects share one, so it is made, and given up, in one place.
import { chains, type TableName } from '#netlink/nftables/query.ts'
import type { Table, Transaction } from '#netlink/nftables/transaction.ts'
import type { Namespace } from './namespace.ts'

/** Rules for packets that the host routes. */
export const fairlead: TableName = { family: 'inet', table: 'fairlead' }
/** Rules for frames between the ports of a bridge, which an `inet` table does not see. */
export const fairleadBridge: TableName = { family: 'bridge', table: 'fairlead' }

/** How a table is called among `tables` of query.ts. */
export const fullName = ({ family, table }: TableName): string => `${family} ${table}`

/** A table to speak of in a transaction. */
export const tableOf = (tx: Transaction, { family, table }: TableName): Table => tx.table(family, table)

/** Makes sure of a table of ours. */
export const addTable = (tx: Transaction, name: TableName): Table =>
  tableOf(tx, name).add({ comment: 'Fairlead container networks' })

/**
 * The base chains of the routing table that say nothing without a chain of a subnet or bridge to lead to. A chain that
 * is neither here nor leaving keeps the table.
 */
export const bases = {
  masquerade: 'postrouting', internal: 'internal', gatewayMode: 'forward', isolated: 'input',
} as const

/**
 * Deletes the routing table when nothing is left in it once the chains `leaving` are gone. For use in `revise`: between
 * the look and the deed nobody may have come in.
 */
export const giveUpTable = (host: Namespace, tx: Transaction, leaving: readonly string[]): void => {
  const empty = new Set<string>([...Object.values(bases), ...leaving])
  if (chains(host.netfilter, fairlead).every(({ name }) => empty.has(name))) tableOf(tx, fairlead).delete()
}
