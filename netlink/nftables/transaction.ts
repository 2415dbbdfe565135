// Changes to the ruleset, `nft -f` in a function: all of them happen in one step, or none.
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'
import { describe, encodeKey, type KeyType } from './datatype.ts'
import type { Expr, Verdict } from './expr.ts'
import { decide } from './statement.ts'
import {
  batchBegin, batchEnd, chainAttrs, elementsAttrs, hooks, message, request, ruleAttrs, setAttrs, tableAttrs,
  type Family,
} from './wire.ts'
import type { Codec } from '../codec.ts'

export interface Comment { readonly comment?: string | undefined }
interface Exclusive { readonly exclusive?: boolean }

// Names that nft prints and reads for priorities in ip and inet; numbers serve everywhere.
const priorities = { raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100 } as const

/** Where a base chain listens. Chains without are reached by jump and goto only. */
export interface Hook {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: keyof typeof hooks
  readonly priority: keyof typeof priorities | number
  readonly policy?: 'accept' | 'drop' | undefined
}

/** What a rule is made of: matches and statements, a verdict, a comment. */
export type RulePart = readonly Expr[] | Verdict | { readonly comment: string }

/** The expressions of a rule: everything but the comment. */
export const expressionsOf = (parts: readonly RulePart[]): Expr[] =>
  parts.flatMap(part => 'comment' in part ? [] : 'code' in part ? [decide(part)] : part)

const NFT_SET_MAP = 8
/** They are one attribute together, which holds at most 64 KiB. */
const KEYS_AT_ONCE = 256
const NFT_DATA_VERDICT = 0xffffff00

/** Collects changes for the kernel to make in one step. Nothing is sent before the end. */
export class Transaction {
  readonly requests: Request[] = []

  /** A table to speak of; `add()` makes it. */
  table(family: Family, name: string): Table { return new Table(this, family, name) }

  push<T>(operation: string, type: number, flag: number, family: Family, codec: Codec<T>, content: T): void {
    this.requests.push(request(operation, type, flag, family, codec, content))
  }
}

/** A table. All `add` methods are content with what is there already, all `delete` methods insist on it. */
export class Table {
  readonly tx: Transaction
  readonly family: Family
  readonly name: string
  constructor(tx: Transaction, family: Family, name: string) {
    this.tx = tx
    this.family = family
    this.name = name
  }

  add({ comment }: Comment = {}): this {
    const content = { name: this.name, flags: 0, comment }
    this.tx.push(`add table ${this}`, message.newTable, flags.create, this.family, tableAttrs, content)
    return this
  }

  /** Deletes the table with everything in it. */
  delete(): void {
    this.tx.push(`delete table ${this}`, message.delTable, 0, this.family, tableAttrs, { name: this.name })
  }

  chain(name: string): Chain { return new Chain(this, name) }

  set(name: string, type: KeyType): ElementSet { return new ElementSet(this, name, type, 'nothing') }

  /** A map from keys to verdicts. */
  map(name: string, type: KeyType): ElementSet { return new ElementSet(this, name, type, 'verdict') }

  /** A map from keys to values of another type. */
  valueMap(name: string, type: KeyType, of: KeyType): ElementSet { return new ElementSet(this, name, type, of) }

  toString(): string { return `${this.family} ${this.name}` }
}

/** A chain. Names may hold letters, digits and `/ - _ .`, a letter first: nft reads no other back. */
export class Chain {
  readonly #table: Table
  readonly name: string
  constructor(table: Table, name: string) {
    this.#table = table
    this.name = name
  }

  add({ type, hook, priority, policy = 'accept', comment }: Partial<Hook> & Comment = {}): this {
    const base = type === undefined || hook === undefined || priority === undefined ? {} : {
      type, policy, hook: { number: hook, priority: typeof priority === 'number' ? priority : priorities[priority] },
    }
    const content = { table: this.#table.name, name: this.name, ...base, comment }
    this.#push('add chain', message.newChain, flags.create, chainAttrs, content)
    return this
  }

  /** Deletes the chain and its rules. The kernel refuses (EBUSY) while something jumps to it. */
  delete(): void {
    this.#push('delete chain', message.delChain, 0, chainAttrs, { table: this.#table.name, name: this.name })
  }

  /** Deletes all rules. */
  flush(): this {
    this.#push('flush chain', message.delRule, 0, ruleAttrs, { table: this.#table.name, chain: this.name })
    return this
  }

  /** Appends a rule. */
  rule(...parts: readonly RulePart[]): this {
    const comment = parts.find(part => 'comment' in part)?.comment
    this.#push('add rule', message.newRule, flags.create | flags.append, ruleAttrs, {
      table: this.#table.name, chain: this.name, expressions: expressionsOf(parts), comment,
    })
    return this
  }

  /** Puts a rule behind the one of a handle, or without it at the beginning. */
  insert(behind: bigint | undefined, ...parts: readonly RulePart[]): this {
    const comment = parts.find(part => 'comment' in part)?.comment
    const place = behind === undefined ? flags.create : flags.create | flags.append
    this.#push('insert rule', message.newRule, place, ruleAttrs, {
      table: this.#table.name, chain: this.name, expressions: expressionsOf(parts), position: behind, comment,
    })
    return this
  }

  /** Deletes the rule of a handle, which query.ts finds. */
  deleteRule(handle: bigint): void {
    this.#push('delete rule', message.delRule, 0, ruleAttrs, { table: this.#table.name, chain: this.name, handle })
  }

  #push<T>(verb: string, type: number, flag: number, codec: Codec<T>, content: T): void {
    this.#table.tx.push(`${verb} ${this.#table} ${this.name}`, type, flag, this.#table.family, codec, content)
  }
}

/** A named set, or a map from keys to verdicts or values: a hash table, whose cost does not grow with its content. */
export class ElementSet {
  readonly #table: Table
  readonly #type: KeyType
  readonly #of: KeyType | 'verdict' | 'nothing'
  readonly name: string
  constructor(table: Table, name: string, type: KeyType, of: KeyType | 'verdict' | 'nothing') {
    this.#table = table
    this.name = name
    this.#type = type
    this.#of = of
  }

  add({ comment }: Comment = {}): this {
    const { type, length, order } = describe(this.#type)
    const { tx, family, name: table } = this.#table
    tx.push(this.#operation('add'), message.newSet, flags.create, family, setAttrs, {
      table, name: this.name, flags: this.#isMap ? NFT_SET_MAP : 0, keyType: type, keyLength: length, ...this.#data,
      // Only tells apart the sets that one transaction makes.
      id: tx.requests.length + 1,
      userdata: { keyOrder: order, dataOrder: this.#dataOrder, comment },
    })
    return this
  }

  /**
   * `add element`. Where there is one for the key, equal data is fine (the old comment stays) and another is
   * refused; `exclusive` refuses both with EEXIST.
   */
  insert(key: string, data?: Verdict | string, { comment, exclusive = false }: Comment & Exclusive = {}): this {
    const flag = exclusive ? flags.create | flags.excl : flags.create
    this.#element('add', message.newElement, flag, key, data, comment)
    return this
  }

  /** Adds any number of elements without data, many in one message. */
  insertAll(keys: readonly string[]): this {
    for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) this.#keys(keys.slice(at, at + KEYS_AT_ONCE))
    return this
  }

  /** Deletes an element. @throws NetlinkError ENOENT from the commit when there is none */
  remove(key: string): this {
    this.#element('delete', message.delElement, 0, key)
    return this
  }

  /**
   * Puts an element in the place of one that may be there and differ in its comment, not in its data. `destroy
   * element` would do but needs Linux 6.3; added, what is deleted next is there in any case.
   */
  replace(key: string, data?: Verdict | string, { comment }: Comment = {}): this {
    return this.insert(key, data).remove(key).insert(key, data, { comment })
  }

  get #isMap(): boolean { return this.#of !== 'nothing' }

  get #data(): { readonly dataType?: number; readonly dataLength?: number } {
    if (this.#of === 'nothing') return {}
    if (this.#of === 'verdict') return { dataType: NFT_DATA_VERDICT, dataLength: 0 }
    const { type, length } = describe(this.#of)
    return { dataType: type, dataLength: length }
  }

  get #dataOrder(): number | undefined {
    if (this.#of === 'nothing') return undefined
    return this.#of === 'verdict' ? 0 : describe(this.#of).order
  }

  #encodeData(data: Verdict | string): { readonly verdict: Verdict } | { readonly value: Uint8Array } {
    return typeof data === 'string' ? { value: encodeKey(this.#of as KeyType, data) } : { verdict: data }
  }

  #operation(verb: string): string { return `${verb} ${this.#isMap ? 'map' : 'set'} ${this.#table} ${this.name}` }

  #keys(keys: readonly string[]): void {
    const { tx, family, name: table } = this.#table
    const elements = keys.map(key => ({ key: encodeKey(this.#type, key) }))
    const operation = `${this.#operation('add element to')} { ${keys[0]}, … }`
    tx.push(operation, message.newElement, flags.create, family, elementsAttrs, { table, set: this.name, elements })
  }

  #element(verb: string, type: number, flag: number, key: string, data?: Verdict | string, comment?: string): void {
    const { tx, family, name: table } = this.#table
    tx.push(`${verb} element ${this.#table} ${this.name} { ${key} }`, type, flag, family, elementsAttrs, {
      table, set: this.name, elements: [{
        key: encodeKey(this.#type, key), data: data === undefined ? undefined : this.#encodeData(data), comment,
      }],
    })
  }
}

/**
 * Makes changes in one step: all or none. An empty transaction sends nothing.
 * @param generation refuse (ERESTART) when the ruleset has changed since: see `generation` of query.ts
 * @throws NetlinkError naming the first refused change as nft would say it
 */
export const commit = (socket: Socket, build: (tx: Transaction) => void, generation?: number): void => {
  const tx = new Transaction()
  build(tx)
  if (tx.requests.length > 0) socket.transaction(batchBegin(generation), tx.requests, batchEnd)
}
