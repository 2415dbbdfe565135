// What the CNI specification fixes: versions, verbs, and which version knows which verb.
// https://github.com/containernetworking/cni/blob/main/SPEC.md

export const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export const newest = '1.1.0'

/** What a configuration without cniVersion means. */
export const oldest = '0.1.0'

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC'

/** The first version of the specification that has the verb. */
export const since: Readonly<Record<Verb, string>> = {
  ADD: '0.1.0', DEL: '0.1.0', CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0',
}

const numbers = (version: string): number[] | undefined =>
  /^\d+\.\d+\.\d+$/.test(version) ? version.split('.').map(Number) : undefined

/** Whether `version` is at least `wanted`, part by part as numbers. False when it is no x.y.z. */
export const atLeast = (version: string, wanted: string): boolean => {
  const [have, want] = [numbers(version), numbers(wanted)]
  if (have === undefined || want === undefined) return false
  const at = have.findIndex((part, i) => part !== want[i])
  return at < 0 || have[at]! > want[at]!
}

/** Names of networks and ids of containers: SPEC.md, sections 1 and 2. */
export const isName = (text: string): boolean => /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text) && !text.endsWith('\n')
