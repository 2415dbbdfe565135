// Versions of the CNI specification: which exist and how they compare (SPEC.md, "Version considerations").

export const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

/** A negative number when `a` is older than `b`, 0 when equal; the parts are compared as numbers. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [a, b].map(text => text.split('.').map(Number))
  for (const i of [0, 1, 2]) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

export const isAtLeast = (version: string, bound: string): boolean => compareVersions(version, bound) >= 0
