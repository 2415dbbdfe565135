// The store as a cluster should have it: three members, certificates, a user with a password. Its leader is killed
// while containers talk and hosts join; then it forgets, and then it is another one.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { test, type Test } from 'tap'
import { clusterKey, root } from '../agent/layout.ts'
import type { Certificates } from '../agent/store/endpoint.ts'
import { Gateway } from '../agent/store/etcd-gateway.ts'
import { Etcd } from '../agent/store/etcd.ts'
import { put } from '../agent/store/transaction.ts'
import { Authority } from '../tools/certificates.ts'
import { startEtcd, type EtcdCluster, type EtcdMember } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet, type FleetHost, type Pod } from '../tools/fleet.ts'
import { kernelLacks, lacks, ownNamespace, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || lacks('openssl') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const endpoints = [0, 10, 20].map(more => `https://192.0.2.254:${2379 + more}`)
const password = 'correct horse'

/** Passwords, and a user that may write what docs/overlay.md says, and no more. */
const allow = async (admin: Gateway): Promise<void> => {
  const call = (path: string, body: object) => admin.call(`/v3/auth/${path}`, body, 'repeatable')
  for (const name of ['root', 'fairlead']) {
    await call('role/add', { name })
    await call('user/add', { name, password })
    await call('user/grant', { user: name, role: name })
  }
  const [key, range_end] = [root, root.replace(/\/$/, '0')].map(text => Buffer.from(text).toString('base64'))
  await call('role/grant', { name: 'fairlead', perm: { permType: 'READWRITE', key, range_end } })
  await call('enable', {})
}

const leaderOf = async ({ members }: EtcdCluster, tls: Certificates): Promise<EtcdMember> => {
  for (const member of members) {
    const gateway = new Gateway({ endpoints: [member.url], tls, user: { name: 'root', password } })
    const answer = await gateway.call('/v3/maintenance/status', {}, 'repeatable')
    gateway.close()
    const { leader, header } = answer as { leader: string; header: { member_id: string } }
    if (leader === header.member_id) return member
  }
  throw new Error('nobody leads')
}

/** Pings ten times a second until it is told to stop. */
const traffic = (t: Test, from: Pod, to: Pod) => {
  const args = ['-n', '-i', '0.1', '-W', '2', to.addresses[0]!]
  const child = from.ns.run(() => spawn('ping', args, { stdio: ['ignore', 'pipe', 'inherit'] }))
  t.teardown(() => { child.kill('SIGKILL') })
  const words = child.stdout.setEncoding('utf8').toArray()
  return async (): Promise<string> => {
    child.kill('SIGINT')
    await once(child, 'exit')
    return /\d+ packets.*loss/.exec((await words).join(''))?.[0] ?? ''
  }
}

void test('a store of three members with certificates and a password', { skip, timeout: 180_000 }, async t => {
  const own = ownNamespace(t)
  const authority = new Authority(t)
  const server = authority.issue('server', ['IP:192.0.2.254', 'IP:127.0.0.1'])
  const client = authority.issue('client', [], '/O=hosts')
  const passwordFile = authority.cert.replace(/[^/]*$/, 'password')
  writeFileSync(passwordFile, `${password}\n`)
  const files = { ca: authority.cert, cert: client.cert, key: client.key }
  const options = ['--store-ca', files.ca, '--store-cert', files.cert, '--store-key', files.key,
    '--store-user', 'fairlead', '--store-password-file', passwordFile]
  const fleet = new Fleet(t, own, 5, { store: endpoints.join(), options })
  const cluster = await startEtcd(t, {
    members: 3, scheme: 'https', host: '192.0.2.254',
    args: ['--cert-file', server.cert, '--key-file', server.key, '--trusted-ca-file', authority.cert,
      '--client-cert-auth'],
  })
  const tls = { ca: authority.text(files.ca), cert: authority.text(files.cert), key: authority.text(files.key) }
  const admin = new Gateway({ endpoints, tls, user: { name: 'root', password } })
  t.teardown(() => { admin.close() })
  await allow(admin)
  const store = ['--store', endpoints.join(), ...options]
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', '--subnet', 'fd00:200::/48', ...store)

  const [first, second, third, fourth, fifth] = fleet.hosts as [FleetHost, FleetHost, FleetHost, FleetHost, FleetHost]
  const join = async (host: FleetHost): Promise<Pod> => {
    await host.start()
    await host.insist({ op: 'join', network: 'blue' }, 30_000)
    return host.attach('blue')
  }
  const pods = [await join(first), await join(second)]
  const pairs = () => pods.flatMap(from => pods.filter(to => to !== from).map(to => [from, to] as const))
  const meet = () => pairs().every(([from, to]) => to.addresses.every(ip => reaches(from.ns, ip)))
  t.ok(meet())

  await t.test('the leader is killed', { timeout: 60_000 }, async t => {
    const end = traffic(t, pods[0]!, pods[1]!)
    const leader = await leaderOf(cluster, tls)
    const start = performance.now()
    await leader.stop('SIGKILL')
    pods.push(...await Promise.all([join(third), join(fourth)]))
    t.comment(`two hosts have joined and attached ${Math.round(performance.now() - start)} ms after the leader's death`)
    await eventually('all meet', meet)
    t.match(await end(), / 0% packet loss/, 'nothing of a connection is lost')
    leader.start()
    await leader.ready()
  })

  await t.test('no majority is left', { timeout: 60_000 }, async t => {
    const end = traffic(t, pods[1]!, pods[2]!)
    const [one, two] = cluster.members
    for (const member of [one!, two!]) await member.stop('SIGKILL')
    await eventually('the store is missed', async () => 'obstacle' in await first.ask({ op: 'status' }))
    const pod = first.attach('blue')
    t.ok(reaches(pod.ns, pods[1]!.addresses[0]!), 'a container is started')
    t.equal(first.detach('blue', pod).status, 0)
    for (const member of [one!, two!]) member.start()
    for (const member of [one!, two!]) await member.ready()
    pods.push(await join(fifth))
    await eventually('all meet', meet)
    t.match(await end(), / 0% packet loss/)
  })

  await t.test('an agent that has slept through a compaction', { timeout: 60_000 }, async t => {
    const client = new Etcd({ endpoints, tls, user: { name: 'root', password } }, clusterKey)
    t.teardown(() => { client.close() })
    second.agent!.kill('SIGSTOP')
    fairlead('overlay', 'create', 'red', '--subnet', '10.201.0.0/16', ...store)
    await first.insist({ op: 'join', network: 'red' })
    fairlead('overlay', 'rm', 'red', ...store)
    const more = await first.ask({ op: 'status' })
    t.ok(more.ok)
    const { revision } = await client.commit([], [put(`${root}noise`, '1')])
    await admin.call('/v3/kv/compaction', { revision, physical: true }, 'repeatable')
    second.agent!.kill('SIGCONT')
    await second.insist({ op: 'join', network: 'blue' })
    await eventually('it follows', async () => !('obstacle' in await second.ask({ op: 'status' })))
    t.ok(meet())
  })

  await t.test('agents that start with a store that was wiped', { timeout: 60_000 }, async t => {
    const end = traffic(t, pods[0]!, pods[1]!)
    await Promise.all(fleet.hosts.map(host => host.stop()))
    await cluster.wipe()
    await allow(admin)
    await Promise.all([first, third].map(host => host.start()))
    await eventually('they are back', async () => !('obstacle' in await first.ask({ op: 'status' })))
    await eventually('all meet', meet)
    t.match(await end(), / 0% packet loss/, 'the second host is not there yet, and nobody has taken its addresses')
    await Promise.all([second, fourth, fifth].map(host => host.start()))
    await eventually('all are back', () =>
      (JSON.parse(fairlead('host', 'list', '--json', ...store)) as unknown[]).length === 5)
    t.ok(meet())
  })

  await t.test('another cluster in the same place', { timeout: 90_000 }, async t => {
    const end = traffic(t, pods[0]!, pods[3]!)
    const blocks = fleet.hosts.map(host => host.run('blue')?.blocks)
    await Promise.all(fleet.hosts.map(host => host.stop()))
    await cluster.wipe()
    await allow(admin)
    fairlead('overlay', 'create', 'blue', '--subnet', '10.77.0.0/16', ...store)
    for (const host of fleet.hosts) await host.start()
    const foreign = async (host: FleetHost): Promise<boolean> => {
      const answer = await host.ask({ op: 'status' })
      return answer.ok && /holds cluster \w+, this host is of/.test(String(answer['obstacle']))
    }
    for (const host of fleet.hosts) await eventually('it is noticed', () => foreign(host), 30_000)
    t.same(fleet.hosts.map(host => host.run('blue')?.blocks), blocks, 'everybody keeps what was his')
    const pod = first.attach('blue')
    t.ok(reaches(pod.ns, pods[4]!.addresses[0]!))
    t.ok(meet())
    t.match(await end(), / 0% packet loss/)
    t.match(JSON.parse(fairlead('host', 'list', '--json', ...store)), [], 'nobody has joined it')
  })
})
