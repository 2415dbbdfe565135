// The iptables programs, for configurations that ask for them and for what such configurations have left on a node.
import type { Family } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'

const names = { ipv4: 'iptables', ipv6: 'ip6tables' } as const

/** Which of the two iptables of a node: the one that it has chosen, or the kind that knows nothing of nftables. */
export type Kind = 'chosen' | 'legacy'

/** A table of iptables, for one family of addresses. */
export interface Place { readonly family: Family; readonly table: 'nat' | 'filter' }

interface Outcome {
  readonly ok: boolean
  /** The program is not installed. */
  readonly absent: boolean
  readonly output: string
  readonly complaint: string
}

const run = (host: Namespace, name: string, args: readonly string[], input: string): Outcome => {
  // Loaded here because a native ADD or DEL never comes this far.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const options = { input, encoding: 'utf8', maxBuffer: 1 << 28 } as const
  const { error, status, stdout, stderr } = host.run(() => spawnSync(name, args, options))
  if (error !== undefined) {
    const absent = 'code' in error && error.code === 'ENOENT'
    const complaint = absent ? 'is not on PATH; install iptables or choose the nftables backend' : error.message
    return { ok: false, absent, output: '', complaint }
  }
  return { ok: status === 0, absent: false, output: stdout, complaint: stderr }
}

const program = (family: Family, kind: Kind, verb: string): string =>
  `${names[family]}-${kind === 'legacy' ? 'legacy-' : ''}${verb}`

/** iptables-restore refuses. `line` is the line that it names, as far as it does. */
export class IptablesRefusal extends Error {
  override readonly name = 'IptablesRefusal'
  readonly family: Family
  readonly line: string | undefined
  constructor(message: string, family: Family, line: string | undefined) {
    super(message)
    this.family = family
    this.line = line
  }
}

/** The index of the line that a program names; the first is the table's. */
const lineOf = (complaint: string): number => Number(/\bline:? (\d+)/.exec(complaint)?.[1]) - 2

/** What went wrong, in one line; lines with `#` are about the other kind of iptables. */
const failure = (name: string, { complaint }: Outcome): Error =>
  new Error(`${name}: ${complaint.split('\n').find(line => line !== '' && !line.startsWith('#')) ?? 'failed'}`)

const inputOf = (table: string, lines: readonly string[]): string => [`*${table}`, ...lines, 'COMMIT', ''].join('\n')

/** Gives lines to iptables-restore, leaving alone what they do not name: all of it happens or nothing. */
export const restore = (
  host: Namespace, { family, table }: Place, lines: readonly string[], kind: Kind = 'chosen',
): Outcome => run(host, program(family, kind, 'restore'), ['--noflush', '--wait'], inputOf(table, lines))

/** The same. @throws IptablesRefusal with the words of the program */
export const change = (host: Namespace, place: Place, lines: readonly string[], kind: Kind = 'chosen'): void => {
  if (lines.length === 0) return
  const outcome = restore(host, place, lines, kind)
  if (outcome.ok) return
  const { message } = failure(program(place.family, kind, 'restore'), outcome)
  throw new IptablesRefusal(message, place.family, lines[lineOf(outcome.complaint)])
}

/**
 * The first rule that is not there, undefined when all are. However a rule is written, iptables finds it.
 * @param rules without `-A`, as `CHAIN -s 10.0.0.0/8 -j ACCEPT`
 * @throws Error with the words of the program when it says nothing about a rule
 */
export const findMissing = (host: Namespace, place: Place, rules: readonly string[]): string | undefined => {
  const name = program(place.family, 'chosen', 'restore')
  // With --test iptables-nft would not look.
  const outcome = restore(host, place, rules.map(rule => `-C ${rule}`))
  if (outcome.ok) return undefined
  // `line 2 failed` for a rule, `Error occurred at line: 2` for a chain that is not there.
  const missing = rules[lineOf(outcome.complaint)]
  if (missing === undefined) throw failure(name, outcome)
  return missing
}

/**
 * The lines of iptables-save for a table. For a legacy kind that is not installed there are none: what wrote to it is
 * gone.
 * @throws Error with the words of the program
 */
export const readTable = (host: Namespace, { family, table }: Place, kind: Kind = 'chosen'): string[] => {
  const name = program(family, kind, 'save')
  const outcome = run(host, name, ['-t', table], '')
  if (outcome.absent && kind === 'legacy') return []
  if (!outcome.ok) throw failure(name, outcome)
  return outcome.output.split('\n')
}
