// Runs one case on one plugin in a fresh world and says how it went.

import { transcript } from './call.ts'
import { Skip, type Case } from './case.ts'
import { Failure } from './expect.ts'
import type { Subject } from './subject.ts'
import type { Verdict } from './verdict.ts'
import { isAtLeast } from './versions.ts'
import { World } from './world.ts'

const obstacle = ({ since, until, needs = [] }: Case, subject: Subject): string | undefined => {
  if (since && !subject.supported.some(version => isAtLeast(version, since)))
    return `${subject.plugin} does not advertise ${since}`
  const newer = until && subject.supported.find(version => !isAtLeast(until, version))
  if (newer) return `${subject.plugin} advertises ${newer}`
  for (const need of needs) {
    if (need === 'attach') {
      if (subject.unattachable) return subject.unattachable
    } else if (need === 'profile') {
      if (subject.profile.kind === 'unknown') return 'no profile gives a valid configuration'
    } else if (!subject.features[need]) {
      return `this kernel lacks ${need}`
    }
  }
  return undefined
}

export const judge = async (test: Case, subject: Subject): Promise<Verdict> => {
  const start = performance.now()
  const { id, level, title } = test
  const verdict = (outcome: Verdict['outcome'], message = '', calls = ''): Verdict => ({
    id, plugin: subject.plugin, level, title, outcome, message, transcript: calls,
    milliseconds: performance.now() - start,
  })
  const reason = obstacle(test, subject)
  if (reason) return verdict('skip', reason)
  using world = new World(subject)
  try {
    await test.run(world)
    return verdict('pass')
  } catch (error) {
    if (error instanceof Skip) return verdict('skip', error.message)
    // Anything but a Failure is a fault of the case or of this machine; it must not pass for the plugin's.
    const message = error instanceof Failure ? error.message : `the case itself failed: ${(error as Error).stack}`
    return verdict('fail', message, world.replies.slice(-3).map(transcript).join('\n'))
  }
}
