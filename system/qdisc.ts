// The token buckets of a machine, as tc(8) prints them.
import type { Machine } from './machine.ts'

/** What is read of `tc -j qdisc show`. */
type Qdisc = { readonly kind: string, readonly dev: string, readonly options: { readonly rate?: number } }

/** The rates of all token buckets, bits per second: those on the containers' links first, then those on ifb links. */
export const bucketsOf = (machine: Machine): number[] => {
  const qdiscs = JSON.parse(machine.run('tc', '-j', 'qdisc', 'show')) as Qdisc[]
  const buckets = qdiscs.filter(({ kind }) => kind === 'tbf')
  const isIfb = ({ dev }: Qdisc): number => Number(dev.startsWith('bwp'))
  return buckets.sort((a, b) => isIfb(a) - isIfb(b)).map(({ options }) => (options.rate ?? 0) * 8)
}
