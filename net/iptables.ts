// The iptables programs, for configurations that ask for them and for what such configurations have left on a node.
import type { Family } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'

const names = { ipv4: 'iptables', ipv6: 'ip6tables' } as const

/** Which of the two iptables of a node: the one that it has chosen, or the kind that knows nothing of nftables. */
export type Kind = 'chosen' | 'legacy'

interface Outcome {
  readonly ok: boolean
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
  return { ok: status === 0, absent: false, output: stdout, complaint: stderr.trim().split('\n')[0] ?? '' }
}

const program = (family: Family, kind: Kind, verb: string): string =>
  `${names[family]}-${kind === 'legacy' ? 'legacy-' : ''}${verb}`

/** The input of iptables-restore for some lines of table nat. */
export const natLines = (lines: readonly string[]): string => ['*nat', ...lines, 'COMMIT', ''].join('\n')

/** Gives `input` to iptables-restore, leaving alone what it does not name: all of it happens or nothing. */
export const restore = (host: Namespace, family: Family, input: string, kind: Kind = 'chosen'): Outcome =>
  run(host, program(family, kind, 'restore'), ['--noflush', '--wait'], input)

/** The same for lines of table nat. @throws Error with the words of the program */
export const restoreNat = (host: Namespace, family: Family, lines: readonly string[], kind: Kind = 'chosen'): void => {
  const { ok, complaint } = restore(host, family, natLines(lines), kind)
  if (!ok) throw new Error(`${program(family, kind, 'restore')}: ${complaint}`)
}

/**
 * The lines of iptables-save for table nat. For a legacy kind that is not installed there are none: what wrote to it is
 * gone.
 * @throws Error with the words of the program
 */
export const readNat = (host: Namespace, family: Family, kind: Kind = 'chosen'): string[] => {
  const { ok, absent, output, complaint } = run(host, program(family, kind, 'save'), ['-t', 'nat'], '')
  if (absent && kind === 'legacy') return []
  if (!ok) throw new Error(`${program(family, kind, 'save')}: ${complaint}`)
  return output.split('\n')
}

/** Text as iptables-save quotes it. */
export const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`
