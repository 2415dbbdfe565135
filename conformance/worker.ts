// One worker: in namespaces of its own it judges the items that arrive as JSON lines on stdin, and answers in order.

import { readlinkSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { probeFeatures } from './features.ts'
import { sweep } from './isolation.ts'
import { judge } from './judge.ts'
import type { Item } from './plan.ts'
import { profileOf, type Profile } from './profile.ts'
import { subjectOf, type Extras, type Subject } from './subject.ts'
import { loadCases } from './suite.ts'

export interface Assignment {
  readonly bin: string
  readonly profiles: Readonly<Record<string, Profile>>
  readonly extras: Extras
  /** The parent's mount namespace: a worker empties directories, so it has to be in another. */
  readonly outside: string
}

export const mountNamespace = (): string => readlinkSync('/proc/self/ns/mnt')

/** Works until stdin ends. Throws when it is not isolated. */
export const work = async ({ bin, profiles, extras, outside }: Assignment): Promise<void> => {
  if (mountNamespace() === outside) throw new Error('a worker needs a mount namespace of its own')
  const features = probeFeatures()
  const cases = new Map((await loadCases()).map(test => [test.id, test]))
  const subjects = new Map<string, Subject>()
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, plugin } = JSON.parse(line) as Item
    let subject = subjects.get(plugin)
    if (!subject) {
      subject = subjectOf(bin, plugin, profileOf(plugin, profiles), features, extras)
      subjects.set(plugin, subject)
      // Asking for the versions ran the plugin, which may have left something already.
      sweep(subject.profile.state ?? [])
    }
    const test = cases.get(id)
    if (!test) throw new Error(`no case ${id}`)
    writeSync(1, `${JSON.stringify(await judge(test, subject))}\n`)
  }
}
