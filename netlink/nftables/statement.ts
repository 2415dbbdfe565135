// Statements: what a rule does, as nft writes it. Verdicts also stand in the elements of verdict maps.
import type { Expr, Verdict } from './expr.ts'

export const drop: Verdict = { code: 'drop' }
export const accept: Verdict = { code: 'accept' }
/** `return`, a word that TypeScript keeps for itself. */
export const returns: Verdict = { code: 'return' }
/** Goes through a chain and comes back. */
export const jump = (chain: string): Verdict => ({ code: 'jump', chain })
/** Goes through a chain and does not come back. */
export const goto = (chain: string): Verdict => ({ code: 'goto', chain })

export const masquerade: readonly Expr[] = [{ kind: 'masq' }]
export const counter: readonly Expr[] = [{ kind: 'counter' }]

const NFT_REG_VERDICT = 0

/** The expression that decides a packet. */
export const decide = (verdict: Verdict): Expr => ({ kind: 'immediate', dreg: NFT_REG_VERDICT, data: { verdict } })
