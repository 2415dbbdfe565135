// Claims on a real etcd: many hosts at once, processes that are killed, and a store that loses its data.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { startEtcd } from '#tools/etcd.ts'
import { lacks, ownNamespace } from '#tools/kernel.ts'
import { claimBlock, ensureBlocks } from './blocks.ts'
import { clusterIn, foundCluster, settle } from './cluster.ts'
import { clusterKey, root } from './layout.ts'
import { join } from './membership.ts'
import { memoryFile, type Memory } from './memory.ts'
import { createNetwork } from './network.ts'
import { viewNetwork } from './network-view.ts'
import { Etcd } from './store/etcd.ts'
import { Lab } from './trial.ts'

const skip = lacks('etcd')
const range = { subnet: '10.1.0.0/16', blockLength: 26 }
const names = Array.from({ length: 20 }, (_, i) => `h${i}`)

const connect = (t: Test, endpoints: readonly string[]): Etcd => {
  const store = new Etcd({ endpoints }, clusterKey)
  t.teardown(() => { store.close() })
  return store
}

const middle = (values: readonly number[], part = 0.5): string =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * part)]!.toFixed(1)

void test('twenty hosts at once', { skip }, async t => {
  ownNamespace(t)
  const cluster = await startEtcd(t)
  const store = connect(t, cluster.endpoints)
  await foundCluster(store)
  await createNetwork(store, 'net', { addressing: 'flat', ranges: [range] })
  const lab = new Lab(store)
  let begun = performance.now()
  const joining: number[] = []
  const members = await Promise.all(names.map(async name => {
    const keeper = { read: () => lab.disks.get(name), write(memory: Memory) { lab.disks.set(name, memory) } }
    const { member } = await join(connect(t, cluster.endpoints), keeper, name, { mtu: 1500 })
    await ensureBlocks(member, 'net')
    joining.push(performance.now() - begun)
    return member
  }))
  t.comment(`joined with a block: median ${middle(joining)} ms, all ${middle(joining, 0.999)} ms`)
  begun = performance.now()
  const latencies: number[] = []
  await Promise.all(members.map(async member => {
    const view = await viewNetwork(member, 'net')
    for (let i = 0; i < 15; i++) {
      const from = performance.now()
      await claimBlock(member, 'net', range, { view })
      latencies.push(performance.now() - from)
    }
  }))
  const seconds = (performance.now() - begun) / 1000
  t.comment(`${latencies.length} blocks: ${(latencies.length / seconds).toFixed(0)} blocks/s, `
    + `${(64 * latencies.length / seconds).toFixed(0)} addresses/s, `
    + `median ${middle(latencies)} ms, 99 of 100 within ${middle(latencies, 0.99)} ms`)
  t.equal(names.flatMap(name => lab.blocksOf(name, 'net')).length, 20 * 16)
  t.same(lab.shared('net'), [])
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] })

  const before = names.map(name => lab.blocksOf(name, 'net'))
  await cluster.wipe()
  begun = performance.now()
  await Promise.all(names.map(name => lab.join(name)))
  t.comment(`wiped: 20 hosts, 320 blocks back after ${(performance.now() - begun).toFixed(0)} ms`)
  t.same(names.map(name => lab.blocksOf(name, 'net')), before)
  t.equal(clusterIn(await store.list(root))?.settled, false)
  await t.rejects(ensureBlocks(await lab.join('fresh'), 'net'), { name: 'OverlayError', obstacle: 'unsettled' })
  await settle(store, clusterIn(await store.list(root))!.id)
  await ensureBlocks(await lab.join('fresh'), 'net')
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] })
})

const worker = `
const [endpoint, host, file] = process.argv.slice(1)
const { Etcd } = await import('${import.meta.dirname}/store/etcd.ts')
const { join } = await import('${import.meta.dirname}/membership.ts')
const { memoryFile } = await import('${import.meta.dirname}/memory.ts')
const { claimBlock, releaseBlock } = await import('${import.meta.dirname}/blocks.ts')
const store = new Etcd({ endpoints: [endpoint] }, '${clusterKey}')
const { member } = await join(store, memoryFile(file), host, {})
process.stdout.write('joined')
for (;;) {
  const blocks = member.share('net')?.blocks ?? []
  if (blocks.length > 3) await releaseBlock(member, 'net', blocks[Math.floor(Math.random() * blocks.length)])
  else await claimBlock(member, 'net', { subnet: '10.1.0.0/24', blockLength: 28 })
}`

void test('agents that are killed', { skip }, async t => {
  ownNamespace(t)
  const { endpoints } = await startEtcd(t)
  const store = connect(t, endpoints)
  const place = mkdtempSync('/dev/shm/fairlead-agents-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  await foundCluster(store)
  await createNetwork(store, 'net', { addressing: 'flat', ranges: [{ subnet: '10.1.0.0/24', blockLength: 28 }] })
  const lab = new Lab(store)
  const files = new Map(names.slice(0, 3).map(name => [name, `${place}/${name}/state.json`] as const))
  let kills = 0
  const look = (): void => {
    for (const [name, file] of files) {
      const memory = memoryFile(file).read()
      if (memory !== undefined) lab.disks.set(name, memory)
    }
  }
  await Promise.all([...files].map(async ([name, file]) => {
    for (let life = 0; life < 3; life++) {
      const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', worker]
      const all = [...args, endpoints[0]!, name, file]
      const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'inherit'] })
      t.teardown(() => { child.kill('SIGKILL') })
      await once(child.stdout!, 'data')
      await setTimeout(50 + 150 * Math.random())
      child.kill('SIGKILL')
      await once(child, 'exit')
      kills++
    }
  }))
  look()
  t.same(lab.shared('net'), [], 'one owner')
  t.same((await lab.differences('net')).wrong, [], 'what they believe is so')
  for (const name of files.keys()) await lab.join(name)
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] })
  const { revision } = await store.list(root)
  t.comment(`${kills} kills among ${revision} changes`)
})
