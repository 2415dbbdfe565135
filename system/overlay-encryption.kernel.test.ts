// Encrypted overlays on several hosts with the real agent: what containers see, what somebody on the underlay sees, and
// that nothing leaves in clear when something is missing. The store is a directory: the guest that runs this is slow.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { t as root, test } from 'tap'
import { eventually, fairlead, Fleet, type FleetHost, type Pod } from '../tools/fleet.ts'
import { httpAnswers } from '../tools/http-answers.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { fits } from '../tools/lab.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('ping') || lacks('wg') || lacks('tcpdump') || lacks('nft') || kernelLacks('wireguard')
if (!skip) enterPrivateNamespaces()
root.setTimeout(600_000)

/** Mending is due every half minute where the kernel announces nothing. */
const PATIENCE = 60_000
const PORT = 51820
const LONG = { timeout: 600_000 }
/** What is no news of the neighbourhood: ARP, neighbour discovery and multicast listeners. */
const NEWS = 'not arp and not (ip6 and ip6[6] = 0) and not (icmp6 and ip6[40] >= 130)'

interface Test { teardown(step: () => unknown): unknown }

const storeIn = (t: Test): string => {
  const place = mkdtempSync('/dev/shm/fairlead-store-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  return `${place}/store`
}

/** What goes over the cable of a host until `stop` is called, as tcpdump writes it. */
const capture = async (own: ReturnType<typeof ownNamespace>, link: string, file: string) => {
  const args = ['-i', link, '-U', '-s', '0', '-w', file, NEWS]
  const process: ChildProcess = own.run(() => spawn('tcpdump', args, { stdio: ['ignore', 'ignore', 'pipe'] }))
  await once(process.stderr!, 'data')
  return {
    async stop(): Promise<string> {
      process.kill('SIGINT')
      await once(process, 'exit')
      return readFileSync(file, 'latin1')
    },
  }
}

const peersOf = (host: FleetHost): readonly string[] =>
  output(host.ns, 'wg', ['show', 'fl-wg0', 'allowed-ips']).trim().split('\n').filter(line => line !== '')

/** Whether packets are answered with an error, which the kernel says not more than once a second. */
const isRefused = (from: Pod, address: string): Promise<number> => eventually(`${address} is refused`, () => {
  const { stdout } = from.ns.run(() => spawnSync('ping', ['-n', '-c1', '-W1', address], { encoding: 'utf8' }))
  return /unreachable/i.test(stdout)
})

const statusOf = async (host: FleetHost): Promise<readonly string[]> => {
  const answer = await host.ask({ op: 'status' })
  return answer.ok ? answer['troubles'] as readonly string[] : [answer.message]
}

for (const [underlay, mtu] of [['ipv4', 1440], ['ipv6', 1420]] as const) {
  void test(`over ${underlay}`, { skip, ...LONG }, async t => {
    const own = ownNamespace(t)
    const store = storeIn(t)
    const fleet = new Fleet(t, own, 3, { store, underlay })
    const [first, second, third] = fleet.hosts as [FleetHost, FleetHost, FleetHost]
    const subnets = ['--subnet', '10.200.0.0/16', '--subnet', 'fd00:200::/48']
    t.match(fairlead('overlay', 'create', 'blue', '--encryption', 'wireguard', ...subnets, '--store', store),
      /\nencryption: +wireguard\n/)
    t.throws(() => fairlead('overlay', 'create', 'x', '--encryption', 'rot13', '--store', store),
      { message: /encryption "rot13" is not known/ })
    for (const host of fleet.hosts) await host.start()
    for (const host of fleet.hosts) await host.insist({ op: 'join', network: 'blue' }, PATIENCE)
    const pods = fleet.hosts.map(host => host.attach('blue')) as [Pod, Pod, Pod]
    const [a, b, c] = pods
    const meet = (from: Pod, to: Pod): boolean => to.addresses.every(ip => reaches(from.ns, ip, 3))
    const all = (): boolean => pods.every(from => pods.every(to => from === to || meet(from, to)))

    await t.test('containers reach each other, and nobody reads along', LONG, async t => {
      const file = `${store}.pcap`
      const tap = await capture(own, 'p1', file)
      t.ok(all())
      for (const address of b.addresses) {
        t.ok(fits(a.ns, address, mtu), `${mtu} bytes to ${address}`)
        t.notOk(fits(a.ns, address, mtu + 1))
        t.ok(await httpAnswers(a.ns, b.ns, address), `TCP to ${address}`)
        t.ok(pings(first.ns, address), 'the host itself')
        const pattern = ['-n', '-c2', '-i0.2', '-W2', '-s200', '-p', '5ec2e75ec2e7', address]
        t.equal(a.ns.run(() => spawnSync('ping', pattern)).status, 0)
      }
      const seen = await tap.stop()
      t.notMatch(seen, Buffer.from('5ec2e75ec2e7', 'hex').toString('latin1'), 'no payload in clear')
      const read = (...filter: string[]): string =>
        spawnSync('tcpdump', ['-n', '-r', file, ...filter], { encoding: 'utf8' }).stdout
      t.equal(read(`not udp port ${PORT}`), '', 'nothing but WireGuard')
      t.match(read(), `.${PORT}`)
      t.equal(read('(ip[6:2] & 0x3fff != 0) or ip6[6] == 44'), '', 'no fragments')
      t.equal(output(first.ns, 'ip', ['link', 'show', 'type', 'vxlan']), '')
      t.equal(first.run('blue')?.mtu, mtu)
      t.same(await statusOf(first), [])
    })

    await t.test('the agent is killed and comes back', LONG, async t => {
      const key = output(first.ns, 'wg', ['show', 'fl-wg0', 'private-key'])
      const file = `${first.runDirectory}/../state/wireguard.key`
      t.equal(statSync(file).mode & 0o777, 0o600)
      t.equal(readFileSync(file, 'utf8'), key)
      const handshakes = output(first.ns, 'wg', ['show', 'fl-wg0', 'latest-handshakes'])
      await first.stop('SIGKILL')
      t.ok(all(), 'nobody notices')
      await first.start()
      await eventually('the agent is back', async () => !('obstacle' in await first.ask({ op: 'status' })), PATIENCE)
      t.equal(output(first.ns, 'wg', ['show', 'fl-wg0', 'private-key']), key)
      t.equal(output(first.ns, 'wg', ['show', 'fl-wg0', 'latest-handshakes']), handshakes, 'sessions go on')
      t.ok(all())
      t.notMatch(`${first.log}${readFileSync(`${first.runDirectory}/blue.json`, 'utf8')}`, key.trim())
    })

    await t.test('what somebody breaks is mended', LONG, async t => {
      const [one = '', other = ''] = peersOf(first).map(line => line.split('\t')[0]!)
      // What the kernel does not announce is mended half a minute later, so all of that at once.
      const quiet = ['fl-wg0', 'listen-port', '999', 'peer', one, 'remove', 'peer', other, 'allowed-ips', '']
      const loud = [['ip', 'route', 'flush', 'proto', '203'], ['ip', 'link', 'set', 'fl-wg0', 'down']]
      const harms = [['ip', 'link', 'del', 'fl-wg0'], ...underlay === 'ipv4' ? [...loud, ['wg', 'set', ...quiet]] : []]
      for (const [command = '', ...args] of harms) {
        output(first.ns, command, args)
        const time = await eventually(`mended: ${command} ${args.join(' ')}`, all, PATIENCE)
        t.comment(`mended after ${Math.round(time)} ms: ${command} ${args.join(' ')}`)
      }
    })

    await t.test('a router between hosts gives one of them another port', { ...LONG, skip: underlay === 'ipv6' },
      async t => {
        output(second.ns, 'nft', ['--file', '-'], `table ip router {
          chain out {
            type nat hook postrouting priority srcnat
            udp sport ${PORT} oifname "eth0" masquerade to :4000
          }
        }`)
        t.ok(meet(b, a))
        const ends = (): string => output(first.ns, 'wg', ['show', 'fl-wg0', 'endpoints'])
        t.match(ends(), '192.0.2.2:4000')
        output(first.ns, 'ip', ['route', 'flush', 'proto', '203'])
        await eventually('mended', all, PATIENCE)
        t.match(ends(), '192.0.2.2:4000', 'which is left as it is')
        output(second.ns, 'nft', ['delete', 'table', 'ip', 'router'])
        t.ok(meet(b, a) && meet(a, b))
      })

    await t.test('nothing leaves in clear, nothing comes in', LONG, async t => {
      await first.stop('SIGKILL')
      const clear = await capture(own, 'p1', `${store}.clear`)
      output(first.ns, 'ip', ['route', 'add', 'default', 'via', '192.0.2.254'])
      output(first.ns, 'ip', ['-6', 'route', 'add', 'default', 'via', '2001:db8::254'])
      output(first.ns, 'ip', ['link', 'del', 'fl-wg0'])
      for (const address of b.addresses) await isRefused(a, address)
      for (const family of ['-4', '-6']) output(first.ns, 'ip', [family, 'route', 'flush', 'proto', '203'])
      for (const address of b.addresses) {
        t.notOk(pings(a.ns, address), `${address} without any routes`)
        t.notOk(pings(first.ns, address))
      }
      // Somebody on the underlay who says to be the container of another host.
      output(own, 'ip', ['route', 'add', a.addresses[0]!, 'via', '192.0.2.1'])
      output(own, 'ip', ['-6', 'route', 'add', a.addresses[1]!, 'via', '2001:db8::1'])
      output(own, 'ip', ['address', 'add', `${b.addresses[0]}/32`, 'dev', 'lo'])
      output(own, 'ip', ['-6', 'address', 'add', `${b.addresses[1]}/128`, 'dev', 'lo'])
      await first.start()
      await eventually('all is back', all, PATIENCE)
      const forged = await capture(a.ns, 'eth0', `${store}.forged`)
      for (const [i, address] of a.addresses.entries())
        own.run(() => spawnSync('ping', ['-n', '-c2', '-i0.2', '-W1', '-I', b.addresses[i]!, address]))
      t.equal(Buffer.from(await forged.stop(), 'latin1').length, 24, 'forged packets are dropped')
      for (const [i, address] of a.addresses.entries()) {
        const { stdout } = own.run(() => spawnSync('ping', ['-n', '-c1', '-W1', address], { encoding: 'utf8' }))
        t.match(stdout, / 1 received/, `others, who are routed to it, do reach ${address}`)
        output(own, 'ip', ['address', 'del', `${b.addresses[i]}/${i === 0 ? 32 : 128}`, 'dev', 'lo'])
        output(own, 'ip', ['route', 'del', address])
      }
      await clear.stop()
      const inside = ['-n', '-r', `${store}.clear`, 'src net 10.200.0.0/16 and dst net 10.200.0.0/16 or ' +
        'src net fd00:200::/48 and dst net fd00:200::/48']
      const outgoing = spawnSync('tcpdump', inside, { encoding: 'utf8' }).stdout.split('\n')
        .filter(line => line.includes(`${a.addresses[0]} > `) || line.includes(`${a.addresses[1]} > `))
      t.same(outgoing, [])
      output(first.ns, 'ip', ['route', 'del', 'default'])
      output(first.ns, 'ip', ['-6', 'route', 'del', 'default'])
    })

    await t.test('another key', LONG, async t => {
      const before = output(first.ns, 'wg', ['show', 'fl-wg0', 'public-key'])
      await first.stop('SIGTERM')
      rmSync(`${first.runDirectory}/../state/wireguard.key`)
      await first.start()
      await eventually('all are reachable', all, PATIENCE)
      const after = output(first.ns, 'wg', ['show', 'fl-wg0', 'public-key'])
      t.not(after, before)
      t.ok(peersOf(second).some(line => line.startsWith(after.trim())))
      t.notOk(peersOf(second).some(line => line.startsWith(before.trim())))
    })

    await t.test('a host that is removed is forgotten', LONG, async t => {
      await third.stop('SIGKILL')
      const [key] = output(third.ns, 'wg', ['show', 'fl-wg0', 'public-key']).trim().split('\n') as [string]
      t.ok(peersOf(first).some(line => line.startsWith(key)))
      fairlead('host', 'rm', 'h3', '--force', '--store', store)
      await eventually('forgotten', () => !peersOf(first).some(line => line.startsWith(key)), PATIENCE)
      for (const address of c.addresses) await isRefused(a, address)
      t.notMatch(output(first.ns, 'ip', ['route', 'show', 'proto', '203', 'dev', 'fl-wg0']),
        c.addresses[0]!.replace(/\d+$/, '0/24'))
      t.ok(meet(a, b) && meet(b, a))
    })
  })
}
