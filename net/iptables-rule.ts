// Rules of iptables as text.

/** A rule as iptables-save prints it, or near enough for iptables to take it for that. */
export interface Rule {
  readonly chain: string
  readonly text: string
  /** Goes in front of the other rules of its chain. */
  readonly first?: boolean
}

/** What follows `-A`, `-C` and `-D`. */
export const textOf = ({ chain, text }: Rule): string => `${chain} ${text}`

/** The line that writes a rule. */
export const addition = (rule: Rule): string => `${rule.first === true ? '-I' : '-A'} ${textOf(rule)}`

/** The line that takes a rule away, for a line of iptables-save. */
export const deletion = (line: string): string => line.replace('-A', '-D')

/** The lines of iptables-save for the rules of one chain. */
export const rulesOfChain = (lines: readonly string[], chain: string): string[] =>
  lines.filter(line => line.startsWith(`-A ${chain} `))

/** Those of some chains that iptables-save does not show. */
export const undeclared = (chains: readonly string[], lines: readonly string[]): string[] =>
  chains.filter(chain => !lines.some(line => line.startsWith(`:${chain} `)))

/** Text as iptables-save quotes it. */
export const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** One word, as iptables-restore reads it. @throws RangeError when it would read more than one line */
export const word = (text: string): string => {
  if (/[\0\n]/.test(text)) throw new RangeError(`${JSON.stringify(text)} is no argument that iptables takes`)
  return /^[\w.,:/!-]+$/.test(text) ? text : quoted(text)
}
