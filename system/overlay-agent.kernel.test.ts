// The agent as a service of its host: who may speak to it, what it tells, and what somebody does to its files.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet, type FleetHost } from '../tools/fleet.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']

const isWell = async (host: FleetHost): Promise<boolean> => {
  const answer = await host.ask({ op: 'status' })
  return answer.ok && !('obstacle' in answer)
}

/** What a page of the agent's says: its status and its text. */
const page = (host: FleetHost, path: string): readonly [number, string] => {
  const code = `fetch('http://127.0.0.1:9479${path}')
    .then(async answer => { console.log(answer.status, await answer.text()) })`
  const text = output(host.ns, process.execPath, ['-e', code])
  return [Number(text.slice(0, 3)), text.slice(4)]
}

/** One VXLAN packet with a ping inside, as somebody makes it who knows everything but is no host: RFC 7348. */
const forged = (vni: number, mac: string, from: string, to: string): Buffer => {
  const bytes = (address: string): number[] => address.split('.').map(Number)
  const sum = (all: readonly number[]): readonly [number, number] => {
    let total = 0
    for (let i = 0; i < all.length; i += 2) total += all[i]! * 256 + all[i + 1]!
    while (total > 0xffff) total = (total & 0xffff) + (total >> 16)
    return [~total >> 8 & 255, ~total & 255]
  }
  const echo = [8, 0, 0, 0, 0x12, 0x34, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
  const [high, low] = sum(echo)
  const head = [0x45, 0, 0, 20 + echo.length, 0, 0, 0, 0, 64, 1, 0, 0, ...bytes(from), ...bytes(to)]
  const [top, bottom] = sum(head)
  return Buffer.from([
    8, 0, 0, 0, vni >> 16, vni >> 8 & 255, vni & 255, 0,
    ...mac.split(':').map(digits => parseInt(digits, 16)), 2, 0, 0, 0, 0, 0x66, 8, 0,
    ...head.slice(0, 10), top, bottom, ...head.slice(12), 8, 0, high, low, ...echo.slice(4),
  ])
}

const echoes = (host: FleetHost): number =>
  Number(/IcmpInEchos +(\d+)/.exec(output(host.ns, 'nstat', ['-asz', 'IcmpInEchos']))![1])

void test('an agent and its host', { skip, timeout: 180_000 }, async t => {
  const own = ownNamespace(t)
  const fleet = new Fleet(t, own, 3, { options: ['--metrics', '127.0.0.1:9479'] })
  const etcd = await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', ...store)
  const [first, second] = fleet.hosts as [FleetHost, FleetHost, FleetHost]
  // What deploy/fairlead-agent.service leaves it.
  const unit = readFileSync('deploy/fairlead-agent.service', 'utf8')
  const set = /^CapabilityBoundingSet=(.*)$/m.exec(unit)![1]!.split(' ')
  const capabilities = ['-all', ...set.map(name => `+${name.slice(4).toLowerCase()}`)]
  const few = ['--no-new-privs', '--bounding-set', capabilities.join()]
  await first.start(...few)
  await second.start(...few)
  for (const host of [first, second]) await host.insist({ op: 'join', network: 'blue' })
  const [a, b] = [first.attach('blue'), second.attach('blue')]
  t.ok(reaches(a.ns, b.addresses[0]!), 'with the capabilities of its unit')

  await t.test('its socket is for root', async t => {
    const path = `${first.runDirectory}/agent.sock`
    t.equal(statSync(first.runDirectory).mode & 0o7777, 0o700)
    t.equal(statSync(path).mode & 0o7777, 0o600)
    t.equal(statSync(first.stateDirectory).mode & 0o7777, 0o700)
    t.equal(statSync(`${first.stateDirectory}/state.json`).mode & 0o7777, 0o600)
    const code = `require('node:net').connect('${path}').on('error', error => { console.log(error.code) })`
    const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath, '-e', code]
    t.equal(spawnSync('setpriv', nobody, { encoding: 'utf8' }).stdout.trim(), 'EACCES')
  })

  await t.test('nonsense on the socket', async t => {
    const say = async (data: string | Buffer, patience = 3000): Promise<string> => {
      const socket = connect(`${first.runDirectory}/agent.sock`).setEncoding('utf8')
      socket.on('error', () => undefined)
      let text = ''
      socket.on('data', chunk => { text += String(chunk) })
      socket.write(data)
      const ended = new Promise(resolve => { socket.on('close', resolve).on('data', resolve) })
      await Promise.race([ended, setTimeout(patience)])
      socket.destroy()
      return text
    }
    for (const line of ['', 'x', '{}', '[]', 'null', '{"op":5}', '{"op":"rule"}', '{"op":"join"}',
      '{"op":"join","network":"../../etc"}', '{"op":"join","network":["blue"]}', '{"op":"leave","network":"no\\nne"}',
      '{"op":"static","network":"blue","ip":5}',
      '{"op":"static","network":"blue","ip":"x","container":{},"ifname":1}',
      '{"op":"grow","network":"/"}', '{"op":"join","network":"red","config":5}',
      '{"op":"join","network":"red","config":{"ranges":[{"subnet":7}]}}',
      '{"op":"join","network":"red","config":{"ranges":[null]}}',
      '{"op":"join","network":"red","config":{"ranges":{}}}'])
      t.match(await say(`${line}\n`), /^\{"ok":false,"obstacle":"\w+(-\w+)?","message"/, line)
    t.equal(await say('x'.repeat(1 << 20)), '', 'a line that is too long ends the connection')
    t.equal(await say(Buffer.alloc(100 << 20, 120), 20_000), '')
    const slow = connect(`${first.runDirectory}/agent.sock`)
    t.teardown(() => { slow.destroy() })
    for (const letter of '{"op":"sta') slow.write(letter)
    const deaf = connect(`${first.runDirectory}/agent.sock`).pause()
    t.teardown(() => { deaf.destroy() })
    deaf.write('{"op":"status"}\n'.repeat(2000))
    t.ok(await isWell(first), 'others are answered meanwhile')
    t.ok(first.memory < 300, `${Math.round(first.memory)} MB`)
    t.equal(first.agent!.exitCode, null)
  })

  await t.test('metrics and health', async t => {
    t.match(page(first, '/healthz'), [200, 'ok\n'])
    const [status, text] = page(first, '/metrics')
    t.equal(status, 200)
    for (const line of ['store_up 1', 'member 1', 'hosts 2', 'hosts_alive 2', 'peers{network="blue"} 1',
      'blocks{network="blue"} 1', 'troubles 0'])
      t.ok(text.includes(`\nfairlead_overlay_${line}\n`), line)
    t.match(page(first, '/x')[0], 404)
    t.notMatch(output(first.ns, 'ss', ['-ltn']), /(0\.0\.0\.0|192\.0\.2\.1|\*):9479/, 'on the loopback only')
    await etcd.stop()
    await eventually('it is not well', () => page(first, '/healthz')[0] === 503)
    t.match(page(first, '/metrics')[1], '\nfairlead_overlay_store_up 0\n')
    await etcd.start()
    await eventually('it is well', () => page(first, '/healthz')[0] === 200, 40_000)
  })

  await t.test('packets of strangers', async t => {
    const { vni, device } = first.run('blue')!
    const mac = first.ns.link.get(device).address!
    const to = first.run('blue')!.blocks[0]!.split('/')[0]!
    const data = forged(vni, mac, second.run('blue')!.blocks[0]!.split('/')[0]!, to).toString('hex')
    const send = (from: FleetHost, address: string): void => {
      const code = `const s = require('node:dgram').createSocket('udp4'); s.bind(0, '${address}', () =>
        s.send(Buffer.from('${data}', 'hex'), 4789, '192.0.2.1', () => s.close()))`
      output(from.ns, process.execPath, ['-e', code])
    }
    const third = fleet.hosts[2]!
    const before = echoes(first)
    send(second, '192.0.2.2')
    await eventually('a member is heard', () => echoes(first) === before + 1)
    send(third, '192.0.2.3')
    send(second, '192.0.2.2')
    await eventually('a member is heard', () => echoes(first) >= before + 2)
    t.equal(echoes(first), before + 2, 'the stranger is not')
    t.match(output(first.ns, 'nft', ['list', 'chain', 'inet', 'fairlead_overlay', 'input']),
      /ip saddr != @vteps4 counter packets 1 /)
    await third.start()
    await third.insist({ op: 'join', network: 'blue' })
    await eventually('a new member', () => pings(first.ns, third.run('blue')!.blocks[0]!.split('/')[0]!))
    send(third, '192.0.2.3')
    await eventually('now it is heard', () => echoes(first) > before + 2)
  })

  await t.test('its run directory is removed', async t => {
    rmSync(first.runDirectory, { recursive: true })
    await eventually('the socket is back', () => existsSync(`${first.runDirectory}/agent.sock`))
    t.equal(statSync(first.runDirectory).mode & 0o7777, 0o700)
    t.equal(statSync(`${first.runDirectory}/agent.sock`).mode & 0o7777, 0o600)
    const pod = first.attach('blue')
    t.ok(reaches(pod.ns, b.addresses[0]!))
    t.equal(first.detach('blue', pod).status, 0)
    t.equal(first.agent!.exitCode, null)
  })

  await t.test('a host that was started anew', async t => {
    const { blocks, device } = second.run('blue')!
    await second.stop('SIGKILL')
    // What a kernel and /run have forgotten.
    output(second.ns, 'ip', ['link', 'del', device])
    output(second.ns, 'ip', ['route', 'flush', 'proto', '203'])
    output(second.ns, 'nft', ['flush', 'ruleset'])
    rmSync(second.runDirectory, { recursive: true })
    t.notOk(pings(a.ns, b.addresses[0]!))
    await second.start()
    await eventually('a member', () => isWell(second))
    t.same(second.run('blue')!.blocks, blocks, 'its blocks are its own')
    t.ok(reaches(a.ns, b.addresses[0]!))
    const pod = second.attach('blue')
    t.ok(reaches(pod.ns, a.addresses[0]!))
    t.equal(second.detach('blue', pod).status, 0)
  })

  await t.test('another agent of the same host', async t => {
    const { status, stderr } = first.ns.run(() =>
      spawnSync('build/bin/fairlead', ['agent', ...first.options, '--metrics', 'off'], { encoding: 'utf8' }))
    t.equal(status, 1)
    t.match(stderr, /another agent uses .*state: stop it, or name another state-dir/)
    const other = ['agent', ...first.options, '--metrics', 'off', '--state-dir', `${first.stateDirectory}-2`,
      '--run-dir', `${first.runDirectory}-2`]
    const second = first.ns.run(() => spawnSync('build/bin/fairlead', other, { encoding: 'utf8', timeout: 3000 }))
    t.match(second.stderr, /another machine that is running is host h1/)
    t.ok(await isWell(first))
  })

  await t.test('a disk that is full', async t => {
    const place = first.stateDirectory
    const content = readFileSync(`${place}/state.json`)
    await first.stop('SIGTERM')
    output(own, 'mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', place])
    t.teardown(() => { output(own, 'umount', ['-l', place]) })
    writeFileSync(`${place}/state.json`, content, { mode: 0o600 })
    await first.start()
    await eventually('a member', () => isWell(first))
    const fill = (): void => {
      try { writeFileSync(`${place}/filler`, Buffer.alloc(1 << 20)) } catch { /* as much as there is room for */ }
    }
    fill()
    fairlead('overlay', 'create', 'red', '--subnet', '10.201.0.0/16', ...store)
    t.match(await first.ask({ op: 'join', network: 'red' }), { ok: false, message: /ENOSPC/ })
    t.match(await first.ask({ op: 'join', network: 'red' }), { ok: false, message: /ENOSPC/ })
    t.equal(first.run('red'), undefined)
    const pod = first.attach('blue')
    t.ok(reaches(pod.ns, b.addresses[0]!), 'what is this host\'s own goes on')
    fairlead('host', 'rm', 'h3', '--force', ...store)
    await etcd.wipe()
    await eventually('it notices', async () => /ENOSPC|no space/i.test(first.log))
    await setTimeout(2000)
    t.equal(first.agent!.exitCode, null)
    t.ok(reaches(pod.ns, b.addresses[0]!))
    rmSync(`${place}/filler`)
    await eventually('it is well again', () => isWell(first), 60_000)
    const kept = JSON.parse(readFileSync(`${place}/state.json`, 'utf8'))
    t.same(kept.shares.blue.blocks, first.run('blue')!.blocks)
    t.equal(first.detach('blue', pod).status, 0)
  })

  t.ok(reaches(a.ns, b.addresses[0]!))
})
