// Area J: host-local's records on disk, which other software reads and another implementation may have written
// (plugins/ipam/host-local/backend/disk of containernetworking/plugins).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { Case } from '../case.ts'
import { must, mustEqual, resultOf, succeeds } from '../expect.ts'
import { defaultDirectory, records } from '../pool.ts'
import { addressesOf } from '../result.ts'
import type { World } from '../world.ts'

const directory = (world: World): string => join(defaultDirectory, world.network)

/** Puts records there as the Go plugin does, without the lock file that it makes at its first call. */
const givenRecords = (world: World, files: Readonly<Record<string, string>>): void => {
  mkdirSync(directory(world), { recursive: true, mode: 0o755 })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory(world), name), text, { mode: 0o644 })
}

const inRange = (rest: object) => ({ ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/24' }]], ...rest } })

export const cases: readonly Case[] = [
  {
    id: 'J18', level: 'DEF', applies: ['host-local'], title: 'store compatible',
    run(world) {
      world.add()
      const record = { '10.88.0.2': `${world.pod.id}\r\neth0` }
      mustEqual(records(world.network), record, 'the list of records')
      mustEqual(readFileSync(join(directory(world), 'last_reserved_ip.0'), 'utf8'), '10.88.0.2', 'last_reserved_ip.0')
      must(existsSync(join(directory(world), 'lock')), 'there is no file called lock')
      world.del()
      const elsewhere = '/run/elsewhere'
      world.add({ config: inRange({ dataDir: elsewhere }) })
      mustEqual(records(world.network, elsewhere), record, `the list of records in ${elsewhere}`)
    },
  },
  {
    id: 'J19', level: 'DEF', applies: ['host-local'], title: 'foreign store readable', since: '0.4.0',
    needs: ['attach'],
    run(world) {
      const address = '10.88.0.50'
      const record = `${world.pod.id}\r\neth0`
      givenRecords(world, { [address]: record, '10.88.0.60': 'ancient', 'last_reserved_ip.0': address })
      const ips = [{ address: `${address}/24`, gateway: '10.88.0.1' }]
      const prevResult = { cniVersion: world.subject.version, ips }
      succeeds(world.call('CHECK', { config: { prevResult } }))
      mustEqual(addressesOf(world.add({ pod: world.addPod() })), ['10.88.0.51'], 'the next address')
      world.del({ config: { prevResult } })
      // Before 0.8 a record had no interface name.
      world.del({ env: { CNI_CONTAINERID: 'ancient' } })
      mustEqual(Object.keys(records(world.network)), ['10.88.0.51'], 'the list of records')
    },
  },
  {
    id: 'J23', level: 'QUAL', applies: ['host-local'], title: 'killed holder', needs: ['attach'],
    async run(world) {
      world.add()
      const holder = spawn('flock', [join(directory(world), 'lock'), 'sh', '-c', 'echo held; cat'])
      await once(holder.stdout, 'data')
      const waiting = world.start('ADD', { env: { CNI_CONTAINERID: 'waiting' } })
      await after(100)
      waiting.child.kill('SIGKILL')
      holder.stdin.end()
      await Promise.all([waiting.reply, once(holder, 'close')])
      for (let delay = 2; delay <= 30; delay += 4) {
        const { child, reply } = world.start('ADD', { env: { CNI_CONTAINERID: `killed-${delay}` } })
        await after(delay)
        child.kill('SIGKILL')
        await reply
      }
      const reply = world.call('ADD', { pod: world.addPod() })
      resultOf(reply)
      must(reply.milliseconds < 5000, `ADD took ${Math.round(reply.milliseconds)} ms after others had been killed`)
    },
  },
  {
    id: 'J27', level: 'SHOULD', applies: ['host-local'], title: 'resolvConf',
    run(world) {
      const resolvConf = world.path('resolv.conf')
      writeFileSync(resolvConf, [
        '# comment', '; comment', 'nameserver 10.88.0.53', 'nameserver fd00:88::53', 'domain example.org',
        'search a.example.org b.example.org', 'options ndots:2 edns0', '',
      ].join('\n'))
      const { dns } = world.add({ config: inRange({ resolvConf }) })
      const expected = {
        nameservers: ['10.88.0.53', 'fd00:88::53'],
        domain: 'example.org',
        search: ['a.example.org', 'b.example.org'],
        options: ['ndots:2', 'edns0'],
      }
      for (const key of Object.keys(expected) as (keyof typeof expected)[])
        mustEqual(dns?.[key], expected[key], `dns.${key}`)
    },
  },
]
