// What is there: `nft list`, as much of it as finding one's own objects takes.
import { tolerate } from '#sys/errno.ts'
import { flags, type Message, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'
import { decodeKey, encodeKey, type KeyType } from './datatype.ts'
import type { Expr, Verdict } from './expr.ts'
import { commit, type Transaction } from './transaction.ts'
import {
  chainAttrs, elementsAttrs, families, generationAttrs, message, nfgenmsg, request, ruleAttrs, tableAttrs, type Family,
} from './wire.ts'

/** Where sets, chains and rules live. */
export interface TableName { readonly family: Family; readonly table: string }

/** `use` counts the rules of a chain and everything that leads to it. `base` chains listen to a hook. */
export interface ChainInfo {
  readonly name: string
  readonly use: number
  readonly base: boolean
  /** Of base chains: what becomes of packets that no rule decides. */
  readonly policy: string | undefined
  readonly comment: string
}
export interface RuleInfo {
  readonly chain: string
  readonly handle: bigint
  readonly comment: string
  readonly expressions: readonly Expr[]
}
/** `value` is there for maps to values whose type was given. */
export interface ElementInfo {
  readonly key: string
  readonly verdict: Verdict | undefined
  readonly value?: string
  readonly comment: string
}

const content = ({ body }: Message): Uint8Array => body.subarray(nfgenmsg.size)

const familyOf = ({ body }: Message): Family | undefined => {
  const { family } = nfgenmsg.decode(body)
  return (Object.keys(families) as Family[]).find(name => families[name] === family)
}

/** The tables of all families, as `FAMILY NAME`. One cheap question that tells what need not be asked. */
export const tables = (socket: Socket): Set<string> => new Set(
  socket.request(request('list tables', message.getTable, flags.dump, 'all', tableAttrs, {}))
    .map(reply => `${familyOf(reply)} ${tableAttrs.decode(content(reply)).name}`))

/** The answers, none where the table or what is asked of it is not there. */
const ask = (socket: Socket, question: Request): Message[] => tolerate(['ENOENT'], () => socket.request(question)) ?? []

/** A table, undefined when it is not there. `use` counts its chains, sets and maps. */
export const findTable = (
  socket: Socket, { family, table }: TableName,
): { readonly use: number; readonly comment: string } | undefined =>
  ask(socket, request(`list table ${family} ${table}`, message.getTable, 0, family, tableAttrs, { name: table }))
    .map(reply => {
      const { use = 0, comment = '' } = tableAttrs.decode(content(reply))
      return { use, comment }
    })[0]

const chainInfo = (reply: Message): ChainInfo & { readonly table: string } => {
  const { table = '', name = '', use = 0, hook, policy, comment = '' } = chainAttrs.decode(content(reply))
  return { table, name, use, base: hook !== undefined, policy, comment }
}

/** The chains of a table; none when there is no such table. */
export const chains = (socket: Socket, { family, table }: TableName): ChainInfo[] =>
  // The kernel dumps the chains of a family, whatever table is asked for.
  socket.request(request(`list chains ${family} ${table}`, message.getChain, flags.dump, family, chainAttrs, {}))
    .map(chainInfo).filter(chain => chain.table === table)

/** One chain, undefined when it or its table is not there. */
export const findChain = (socket: Socket, { family, table }: TableName, name: string): ChainInfo | undefined =>
  ask(socket, request(
    `list chain ${family} ${table} ${name}`, message.getChain, 0, family, chainAttrs, { table, name }),
  ).map(chainInfo)[0]

/** The rules of a chain in their order; none when it is not there. */
export const rules = (socket: Socket, { family, table }: TableName, chain: string): RuleInfo[] =>
  ask(socket, request(
    `list chain ${family} ${table} ${chain}`, message.getRule, flags.dump, family, ruleAttrs, { table, chain }),
  ).map(reply => {
    const { chain: of = '', handle = 0n, comment = '', expressions = [] } = ruleAttrs.decode(content(reply))
    return { chain: of, handle, comment, expressions }
  })

/** Whether a rule looks something up in a set or map. */
export const looksUp = (expressions: readonly Expr[], set: string): boolean =>
  expressions.some(part => part.kind === 'lookup' && part.set === set)

const elementInfos = (type: KeyType, of: KeyType | undefined, replies: readonly Message[]): ElementInfo[] =>
  replies.flatMap(reply => (elementsAttrs.decode(content(reply)).elements ?? []).map(({ key, data, comment = '' }) => ({
    key: decodeKey(type, key ?? new Uint8Array()), verdict: data?.verdict as Verdict | undefined, comment,
    ...of && data?.value ? { value: decodeKey(of, data.value) } : undefined,
  })))

/** All elements of a set or map; none when it is not there. @param of type of a map's values */
export const elements = (
  socket: Socket, { family, table }: TableName, set: string, type: KeyType, of?: KeyType,
): ElementInfo[] =>
  elementInfos(type, of, ask(socket, request(
    `list set ${family} ${table} ${set}`, message.getElement, flags.dump, family, elementsAttrs, { table, set })))

/** The element of a key, undefined when it, the set or the table is not there. @param of type of a map's values */
export const findElement = (
  socket: Socket, { family, table }: TableName, set: string, type: KeyType, key: string, of?: KeyType,
): ElementInfo | undefined =>
  elementInfos(type, of, ask(socket, request(
    `get element ${family} ${table} ${set} { ${key} }`, message.getElement, 0, family, elementsAttrs,
    { table, set, elements: [{ key: encodeKey(type, key) }] })))[0]

/** The number of the ruleset's present state. */
export const generation = (socket: Socket): number => {
  const [reply] = socket.request(request('list generation', message.getGeneration, 0, 'all', generationAttrs, {}))
  return reply ? generationAttrs.decode(content(reply)).id ?? 0 : 0
}

const ATTEMPTS = 200
/** A use count may be off for as long as somebody else's transaction is being prepared. */
const BUSY_ATTEMPTS = 20

/**
 * Looks and changes in one step: `build` may ask the kernel and decide by the answers; when another change came in
 * between, it runs again. Somebody gets on with every attempt, so even many at once come to an end.
 * @throws NetlinkError ERESTART when the ruleset does not come to rest, EBUSY when something stays in use
 */
export const revise = (socket: Socket, build: (tx: Transaction) => void): void => {
  for (let attempt = 1; ; attempt++) {
    const seen = generation(socket)
    const passing = attempt < BUSY_ATTEMPTS ? ['ERESTART', 'EBUSY'] : attempt < ATTEMPTS ? ['ERESTART'] : []
    const done = tolerate(passing, () => {
      commit(socket, build, seen)
      return true
    })
    if (done) return
  }
}

/** Whether this kernel has nftables. */
export const isAvailable = (socket: Socket): boolean =>
  tolerate(['EOPNOTSUPP', 'EPROTONOSUPPORT', 'EINVAL'], () => { tables(socket); return true }) ?? false
