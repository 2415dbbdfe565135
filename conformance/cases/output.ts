// Area D: what goes to stdout, to stderr and into the exit status (SPEC.md, section 5; pkg/invoke of libcni).

import { Skip, type Case } from '../case.ts'
import type { Reply } from '../call.ts'
import { errorOf, Failure, must, mustEqual, refuses, resultOf, succeedsSilently } from '../expect.ts'
import { isObject, parsed } from '../json.ts'
import { refusals } from '../malformed.ts'
import { complains, prints } from '../stub.ts'
import type { World } from '../world.ts'

/** Judges every failure of a malformed call; the message names all that are wrong. */
const everyFailure = (world: World, judge: (reply: Reply) => void): void => {
  const wrong = refusals(world).flatMap(({ call, reply }) => {
    try {
      judge(reply)
      return []
    } catch (error) {
      if (error instanceof Failure) return [`${call}: ${error.message}`]
      throw error
    }
  })
  must(wrong.length === 0, wrong.join('\n'))
}

/** SPEC.md reserves 1 to 99; the gaps in between mean nothing. */
const isDefined = (code: number): boolean => [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51].includes(code) || code >= 100

/** Runs the plugin with the shell's redirections in force, its status as the shell's. */
const redirected = (redirections: string): string[] => ['sh', '-c', `"$0" ${redirections}`]

export const cases: readonly Case[] = [
  {
    id: 'D01', level: 'MUST', applies: ['ALL'], title: 'ADD stdout is exactly one JSON object',
    run(world) {
      world.add()
    },
  },
  {
    id: 'D02', level: 'SHOULD', applies: ['ALL'], title: 'DEL silent',
    run(world) {
      world.add()
      succeedsSilently(world.call('DEL'))
    },
  },
  {
    id: 'D03', level: 'SHOULD', applies: ['ALL'], title: 'CHECK silent', since: '0.4.0',
    run(world) {
      world.add()
      succeedsSilently(world.call('CHECK'))
    },
  },
  {
    id: 'D04', level: 'MUST', applies: ['ALL'], title: 'GC silent', since: '1.1.0', needs: ['profile'],
    run(world) {
      succeedsSilently(world.call('GC'))
    },
  },
  {
    id: 'D05', level: 'SHOULD', applies: ['ALL'], title: 'STATUS silent', since: '1.1.0', needs: ['attach'],
    run(world) {
      succeedsSilently(world.call('STATUS'))
    },
  },
  {
    id: 'D06', level: 'MUST', applies: ['ALL'], title: 'error shape',
    run(world) {
      everyFailure(world, errorOf)
    },
  },
  {
    id: 'D07', level: 'SHOULD', applies: ['ALL'], title: 'error has cniVersion',
    run(world) {
      const { document } = errorOf(world.call('ADD', { config: { name: '../x' } }))
      mustEqual(document['cniVersion'], world.subject.version, 'cniVersion of the error')
    },
  },
  {
    id: 'D08', level: 'MUST', applies: ['ALL'], title: 'code not in reserved holes',
    run(world) {
      // What has no code at all is the matter of D06.
      const judged = ({ stdout }: Reply): void => {
        const error = parsed(stdout)
        const code = isObject(error) ? error['code'] : undefined
        must(code === undefined || isDefined(Number(code)), `the code is ${code}, which means nothing`)
      }
      everyFailure(world, judged)
      if (!world.subject.profile.delegates) return
      world.requireAttach()
      world.stub('stub-ipam', { else: `${complains('no lease')}; exit 3` })
      judged(world.call('ADD', { pod: world.addPod() }))
    },
  },
  {
    id: 'D09', level: 'MUST', applies: ['ALL'], title: 'error text contents',
    run(world) {
      const env = { CNI_CONTAINERID: undefined, CNI_IFNAME: undefined }
      refuses(world.call('ADD', { env }), [4], ...Object.keys(env))
      const reply = world.call('ADD', { config: { foo: 'bar' } })
      if (reply.status !== 0 && errorOf(reply).code === 2) refuses(reply, [2], 'foo', 'bar')
    },
  },
  {
    id: 'D10', level: 'MUST', applies: ['ALL'], title: 'logs only on stderr',
    run(world) {
      const lease = { ips: [{ address: '10.77.0.9/24', gateway: '10.77.0.1' }] }
      const answer = prints(JSON.stringify({ ...lease, cniVersion: world.subject.version }))
      world.stub('stub-ipam', { else: `${complains('a word of warning')}; ${answer}` })
      const reply = world.call('ADD')
      world.requireAttach()
      resultOf(reply)
    },
  },
  {
    id: 'D11', level: 'DEF', applies: ['ALL'], title: 'nothing on stdout before failure', needs: ['attach'],
    run(world) {
      const { profile, supported } = world.subject
      if (profile.delegates) {
        // The address can be set, the route cannot: its gateway is not on the link.
        const ips = [{ address: '10.77.0.9/24', gateway: '10.77.0.1' }]
        const answer = { cniVersion: world.subject.version, ips, routes: [{ dst: '10.99.0.0/16', gw: '192.0.2.1' }] }
        world.stub('stub-ipam', { ADD: prints(JSON.stringify(answer)) })
        errorOf(world.call('ADD'))
      } else if (supported.includes('1.1.0')) {
        errorOf(world.call('ADD', { env: { CNI_NETNS: world.host.path } }))
      } else {
        throw new Skip(`no late failure is known for ${world.plugin} below 1.1.0`)
      }
    },
  },
  {
    id: 'D12', level: 'DEF', applies: ['ALL'], title: 'no crash output',
    run(world) {
      everyFailure(world, ({ signal, stdout }) => {
        must(signal === null, `ended by ${signal}`)
        must(stdout !== '', 'stdout is empty')
      })
    },
  },
  {
    id: 'D13', level: 'QUAL', applies: ['ALL'], title: 'closed stdout', needs: ['attach'],
    run(world) {
      const before = world.snapshot()
      // The reader of the pipe is gone before the plugin starts; the status goes round the pipe.
      const status = world.path('status')
      const script = `{ sleep 0.1; "$0"; echo $? > ${status}; } | true; exit $(cat ${status})`
      const reply = world.call('ADD', { through: ['sh', '-c', script] })
      const noticed = reply.signal === null && reply.status !== 0
      must(noticed, `ADD exited with ${reply.status} although nobody can read its result`)
      world.del()
      world.mustBeClean(before)
    },
  },
  {
    id: 'D14', level: 'QUAL', applies: ['ALL'], title: 'closed stderr',
    run(world) {
      world.add({ through: redirected('2>&-') })
    },
  },
]
