// Area A: VERSION, and calls whose verb is missing or wrong (SPEC.md, section 2, "VERSION").

import { Skip, type Case } from '../case.ts'
import { must, mustEqual, objectIn, refuses, succeeds } from '../expect.ts'
import type { Reply } from '../call.ts'
import type { World } from '../world.ts'

const onlyCommand = {
  PATH: undefined, CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined,
  CNI_PATH: undefined,
}

/** The supported versions of a successful VERSION. */
const versionsIn = (reply: Reply): unknown[] => {
  succeeds(reply)
  const { cniVersion, supportedVersions } = objectIn(reply.stdout, 'stdout of VERSION')
  const isText = typeof cniVersion === 'string' && cniVersion !== ''
  must(isText, `cniVersion is ${JSON.stringify(cniVersion)}, expected a text`)
  must(Array.isArray(supportedVersions) && supportedVersions.length > 0, 'supportedVersions is not a list with members')
  return supportedVersions
}

const tellsAbout = (world: World, command: string | undefined): void => {
  const reply = world.call('VERSION', { env: { CNI_COMMAND: command }, stdin: '' })
  succeeds(reply)
  mustEqual(reply.stdout, '', 'stdout')
  for (const version of world.subject.supported)
    must(reply.stderr.includes(version), `stderr does not name ${version}: ${reply.stderr.trim()}`)
}

export const cases: readonly Case[] = [
  {
    id: 'A01', level: 'MUST', applies: ['ALL'], title: 'VERSION minimal env',
    run(world) {
      versionsIn(world.call('VERSION', { env: onlyCommand, stdin: '{"cniVersion":"1.0.0"}' }))
    },
  },
  {
    id: 'A02', level: 'DEF', applies: ['ALL'], title: 'VERSION empty stdin',
    run(world) {
      versionsIn(world.call('VERSION', { env: onlyCommand, stdin: '' }))
    },
  },
  {
    id: 'A03', level: 'DEF', applies: ['ALL'], title: 'VERSION garbage stdin',
    run(world) {
      const reply = world.call('VERSION', { env: onlyCommand, stdin: '{garbage' })
      if (reply.status === 0) versionsIn(reply)
      else refuses(reply, [6])
    },
  },
  {
    id: 'A04', level: 'MUST', applies: ['ALL'], title: 'VERSION echoes version',
    run(world) {
      if (!world.subject.supported.includes('0.4.0')) throw new Skip(`${world.plugin} does not advertise 0.4.0`)
      const reply = world.call('VERSION', { stdin: '{"cniVersion":"0.4.0"}' })
      versionsIn(reply)
      mustEqual(objectIn(reply.stdout, 'stdout')['cniVersion'], '0.4.0', 'cniVersion')
    },
  },
  {
    id: 'A05', level: 'MUST', applies: ['ALL'], title: 'supportedVersions well-formed',
    run(world) {
      const versions = versionsIn(world.call('VERSION', { stdin: '{"cniVersion":"1.0.0"}' }))
      for (const version of versions) {
        const isVersion = typeof version === 'string' && /^\d+\.\d+\.\d+$/.test(version)
        must(isVersion, `supportedVersions has ${JSON.stringify(version)}`)
      }
      mustEqual(versions.length, new Set(versions).size, 'the number of supportedVersions')
    },
  },
  {
    id: 'A06', level: 'DEF', applies: ['ALL'], title: 'libcni probe env',
    run(world) {
      const env = { CNI_CONTAINERID: '', CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_ARGS: '', CNI_PATH: 'dummy' }
      versionsIn(world.call('VERSION', { env, stdin: '{"cniVersion":"1.1.0"}' }))
    },
  },
  {
    id: 'A07', level: 'DEF', applies: ['ALL'], title: 'about text',
    run: world => tellsAbout(world, undefined),
  },
  {
    id: 'A08', level: 'DEF', applies: ['ALL'], title: 'empty command = unset',
    run: world => tellsAbout(world, ''),
  },
  {
    id: 'A09', level: 'MUST', applies: ['ALL'], title: 'unknown verb',
    run(world) {
      refuses(world.call('ADD', { env: { CNI_COMMAND: 'FOO' } }), [4], 'CNI_COMMAND', 'FOO')
    },
  },
  {
    id: 'A10', level: 'MUST', applies: ['ALL'], title: 'verbs are case-sensitive',
    run(world) {
      world.unchanged(() => refuses(world.call('ADD', { env: { CNI_COMMAND: 'add' } }), [4]))
    },
  },
]
