// Many containers at once: nobody fails, no address is given twice, nothing stays.
import { comment, test } from 'tap'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { isShared, without } from './facts.ts'
import { Host } from './host.ts'
import type { Attachment, Configuration, Reply } from './host.ts'

enterPrivateNamespaces()

// The runner hears it; a channel to it this process has not.
comment('timeout=180000')

const bridge: Configuration = {
  cniVersion: '1.0.0',
  name: 'load',
  type: 'bridge',
  bridge: 'test0',
  isGateway: true,
  ipMasq: true,
  ipam: {
    type: 'host-local',
    ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  },
}

/** Exactly as many addresses as there are processes. */
const hostLocal: Configuration = {
  cniVersion: '1.0.0',
  name: 'load',
  type: 'host-local',
  ipam: {
    type: 'host-local',
    ranges: [[{ subnet: '10.77.0.0/24', rangeStart: '10.77.0.10', rangeEnd: '10.77.0.69' }]],
  },
}

/** The words of those that did not succeed. */
const failures = (replies: Reply[]): string[] => replies.filter(({ status }) => status !== 0)
  .map(({ status, signal, stdout, stderr }) => `${signal ?? status} ${stdout} ${stderr}`)

/** All addresses of successful replies. */
function addresses(replies: Reply[]): string[] {
  const results = replies.filter(({ status }) => status === 0).map(({ stdout }) => JSON.parse(stdout) as Result)
  return results.flatMap(({ ips }) => ips.map(({ address }) => address))
}

interface Result {
  ips: { address: string }[]
}

const at = (netns: string, i: number): Attachment => ({ id: `test-${i}`, netns, interface: 'eth0' })

test('50 containers on a bridge that does not exist yet', { timeout: 120_000 }, async (t) => {
  const host = new Host()
  const attachments = Array.from({ length: 50 }, (_, i) => at(host.addPod(), i))
  const pods = attachments.map(({ netns }) => netns)
  const before = host.facts(...pods)
  const added = await Promise.all(attachments.map((attachment) => host.start('ADD', bridge, attachment)))
  t.same(failures(added), [], 'all are attached')
  t.equal(new Set(addresses(added)).size, 100, 'with two addresses each that nobody else has')
  const checks = attachments.map((attachment, i) =>
    host.call('CHECK', { ...bridge, prevResult: JSON.parse(added[i]?.stdout || '{}') }, attachment))
  t.same(failures(checks), [], 'and CHECK agrees')
  const deleted = await Promise.all(attachments.map((attachment) => host.start('DEL', bridge, attachment)))
  t.same(failures(deleted), [], 'all are detached')
  t.same(without(host.facts(...pods), before).filter((fact) => !isShared(fact)), [], 'nothing stays')
  host.close()
})

const stacked: Configuration = {
  cniVersion: '1.0.0',
  name: 'load',
  type: 'macvlan',
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]] },
}

const sharing = { 'a link of the host\'s': { master: 'up0', hostAccess: true }, 'a parent': { internal: true } }
for (const [what, keys] of Object.entries(sharing)) {
  test(`40 containers come and go at once that share ${what}`, { timeout: 120_000 }, async (t) => {
    const host = new Host()
    host.addUplink('up0')
    const configuration = { ...stacked, ...keys }
    const attachments = Array.from({ length: 40 }, (_, i) => at(host.addPod(), i))
    const pods = attachments.map(({ netns }) => netns)
    const before = host.facts(...pods)
    const call = (verb: string, some: Attachment[]): Promise<Reply>[] =>
      some.map((attachment) => host.start(verb, configuration, attachment))
    const [early, late] = [attachments.slice(0, 20), attachments.slice(20)]
    t.same(failures(await Promise.all(call('ADD', early))), [], 'the first are attached')
    const both = await Promise.all([...call('DEL', early), ...call('ADD', late)])
    t.same(failures(both), [], 'the others while the first leave')
    t.same(failures(await Promise.all(call('DEL', late))), [], 'all are detached')
    t.same(without(host.facts(...pods), before).filter((fact) => !isShared(fact)), [], 'nothing stays')
    host.close()
  })
}

test('60 processes take 60 addresses from one range', { timeout: 120_000 }, async (t) => {
  const host = new Host()
  const before = host.facts()
  const netns = host.addPod()
  const attachments = Array.from({ length: 60 }, (_, i) => at(netns, i))
  const added = await Promise.all(attachments.map((attachment) => host.start('ADD', hostLocal, attachment)))
  t.same(failures(added), [], 'there is one for everybody')
  t.equal(new Set(addresses(added)).size, 60, 'and none is given twice')
  t.not(host.call('ADD', hostLocal, at(netns, 60)).status, 0, 'the range is exhausted then')
  const deleted = await Promise.all(attachments.map((attachment) => host.start('DEL', hostLocal, attachment)))
  t.same(failures(deleted), [], 'all are given back')
  t.same(without(host.facts(), before).filter((fact) => !isShared(fact)), [], 'nothing stays')
  host.close()
})
