// The tap driver on hosts that lack something: taps, SELinux. A host with SELinux is made up.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { lacks, observe, output } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { tap } from './tap.ts'

const skip = lacks('ip')
if (!skip) enterPrivateNamespaces()

const withoutAttributes = !existsSync('/proc/self/attr/exec') && 'this kernel has no security modules'

const context = 'system_u:system_r:container_t:s0:c1,c2'
const ipv4 = '10.8.0.0/24'

interface Test { teardown(step: () => unknown): unknown }

const run = (command: string, ...args: string[]): string => {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? '' : stderr || `exit ${status}`
}

/** Puts a file or directory in another's place until the test ends. @returns why that could not be, or '' */
const cover = (t: Test, path: string, by: string): string => {
  const complaint = run('mount', '--bind', by, path)
  if (complaint === '') t.teardown(() => run('umount', path))
  return complaint
}

const folder = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'fairlead-tap-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

const pretendSelinux = (t: Test, files: string): void => {
  writeFileSync(join(files, 'filesystems'), 'nodev\tsysfs\nnodev\tselinuxfs\n')
  cover(t, '/proc/filesystems', join(files, 'filesystems'))
}

test('a host without taps', { skip }, async t => {
  const node = new Node(t, tap, {}, ipv4)
  const pod = node.pod()
  cover(t, '/dev/net', folder(t))
  t.throws(() => node.call('STATUS', undefined), { code: 50, message: /\/dev\/net\/tun.*ENOENT/ })
  t.throws(() => node.call('ADD', pod), { code: 104, message: /\/dev\/net\/tun.*ENOENT/ })
  t.same(pod.link.list().map(({ name }) => name), ['lo'])
})

test('a host without SELinux', {
  skip: skip || (/selinuxfs/.test(readFileSync('/proc/filesystems', 'utf8')) && 'this one has it'),
}, async t => {
  const node = new Node(t, tap, {}, ipv4)
  node.call('STATUS', undefined)
  // The manual spells it so.
  const config = node.config({ selinuxcontext: context })
  t.throws(() => node.call('STATUS', undefined, config), { code: 50, message: /SELinux/ })
  t.throws(() => node.call('ADD', node.pod(), config), { code: 104, message: /SELinux/ })
  t.test('that says it has it refuses every context', { skip: withoutAttributes }, async t => {
    pretendSelinux(t, folder(t))
    t.throws(() => node.call('ADD', node.pod(), config), { code: 7, message: /container_t.*policy/ })
  })
})

test('a host with SELinux: ip starts under the context, and nothing else does', {
  skip: skip || withoutAttributes,
}, async t => {
  const files = folder(t)
  const attribute = join(files, 'exec')
  const told = join(files, 'told')
  writeFileSync(attribute, '')
  t.equal(cover(t, `/proc/${process.pid}/task/${process.pid}/attr/exec`, attribute), '')
  pretendSelinux(t, files)
  const path = process.env['PATH'] ?? ''
  t.teardown(() => { process.env['PATH'] = path })
  mkdirSync(join(files, 'bin'))
  const stand = (...lines: string[]): void =>
    writeFileSync(join(files, 'bin/ip'), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 })
  process.env['PATH'] = `${files}/bin:${path}`

  const wishes = { selinuxContext: context, owner: 1001, group: 1002, multiQueue: true, mtu: 1400 }
  const node = new Node(t, tap, wishes, ipv4)
  stand(`{ cat ${attribute}; echo " $*"; } >>${told}`, `PATH=${path} exec ip "$@"`)
  const pod = node.pod()
  const result = node.call('ADD', pod, node.config({ mac: '02:00:00:00:00:01' }))
  process.env['PATH'] = path
  t.equal(
    readFileSync(told, 'utf8'),
    `${context} tuntap add dev eth0 mode tap vnet_hdr multi_queue user 1001 group 1002\n`,
  )
  t.match(readFileSync(attribute, 'utf8'), /^\n/, 'programs that follow start as ever')
  t.match(observe(pod, 'ip', '-d', '-j', 'link', 'show', 'eth0'), [{
    mtu: 1400, address: '02:00:00:00:00:01',
    linkinfo: { info_data: { type: 'tap', vnet_hdr: true, multi_queue: true, persist: true, user: 1001, group: 1002 } },
  }])
  node.call('CHECK', pod, node.config({ prevResult: result }))
  node.call('DEL', pod)
  t.equal(pod.link.find('eth0'), undefined)

  process.env['PATH'] = `${files}/bin:${path}`
  stand('echo "ioctl(TUNSETIFF): Permission denied" >&2', 'exit 1')
  t.throws(() => node.call('ADD', pod), { code: 100, message: /container_t.*TUNSETIFF.*Permission denied/ })
  process.env['PATH'] = path
  t.equal(output(pod, 'ip', ['tuntap', 'list']), '')
  t.same(node.recorded(), [])
})
