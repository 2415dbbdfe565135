// A block never has two owners, whenever an agent dies and whatever answer is lost.
import { test } from 'tap'
import { claimBlock, ensureBlocks, releaseBlock } from './blocks.ts'
import { becomeJanitor, sweep } from './janitor.ts'
import type { Member } from './member.ts'
import { createNetwork } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import { isTrouble } from './store/store-error.ts'
import { faultAt, faults, Killed, newLab, persist, type Fate } from './trial.ts'

const subnet = '10.1.0.0/24'
const small = { subnet, blockLength: 28 }
const flat = { addressing: 'flat', ranges: [small] } as const

/** What a host does in its life: two blocks, one given back, another one. */
const live = async (member: Member): Promise<void> => {
  await ensureBlocks(member, 'net')
  const second = await claimBlock(member, 'net', small)
  await releaseBlock(member, 'net', second)
  await claimBlock(member, 'net', small)
}

void test('a fault at every write', async t => {
  let trials = 0
  for (const fault of faults) {
    for (let at = 0; ; at++) {
      const { lab } = await newLab(t)
      await createNetwork(lab.store, 'net', flat)
      await persist(lab, 'other', () => undefined, live)
      const { fate, reached } = faultAt(at, fault)
      await persist(lab, 'host', fate, live)
      if (!reached()) break
      trials++
      const where = `${fault} at write ${at}`
      t.strictSame(lab.shared('net'), [], `one owner: ${where}`)
      await lab.wire.arrive()
      t.strictSame((await lab.differences('net')).wrong, [], `what it believes is so: ${where}`)
      await persist(lab, 'third', () => undefined, live)
      t.strictSame(lab.shared('net'), [], `still one owner: ${where}`)
      await lab.join('host')
      t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] }, `nothing leaks: ${where}`)
    }
  }
  t.ok(trials > 40, `${trials} faults`)
  t.comment(`${trials} faults: ${faults.join(', ')}`)
})

const chance = (seed: number): (() => number) => {
  let state = seed
  return () => { // mulberry32
    state = state + 0x6d2b79f5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32
  }
}

void test('many hosts, few blocks, and everything goes wrong', async t => {
  const seed = Number(process.env['FAIRLEAD_SEED'] ?? Date.now() % 1e6)
  const random = chance(seed)
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const counts: Record<string, number> = {}
  const count = (what: string): void => { counts[what] = (counts[what] ?? 0) + 1 }
  const fate: Fate = () => {
    if (lab.shared('net').length > 0) throw new Error(`two owners: ${lab.shared('net').join()}`)
    const fault = random() < 0.08 ? faults[Math.floor(random() * faults.length)] : undefined
    if (fault !== undefined) count(fault)
    return fault
  }
  const act = async (member: Member): Promise<void> => {
    const blocks = member.share('net')?.blocks ?? []
    if (random() < 0.5 && blocks.length > 0) {
      await releaseBlock(member, 'net', blocks[Math.floor(random() * blocks.length)]!)
      count('released')
    } else {
      await claimBlock(member, 'net', small)
      count('claimed')
    }
  }
  const run = async (host: string): Promise<void> => {
    let member: Member | undefined
    for (let i = 0; i < 40; i++) {
      try {
        member ??= await lab.join(host, fate)
        await act(member)
      } catch (error) {
        if (error instanceof OverlayError && error.obstacle === 'exhausted') count('exhausted')
        else if (error instanceof Killed) member = undefined
        else if (!isTrouble(error, 'unknown', 'unreachable')) throw error
      }
      if (random() < 0.1) await lab.wire.arrive()
    }
  }
  const names = Array.from({ length: 10 }, (_, i) => `h${i}`)
  const begun = performance.now()
  await Promise.all(names.map(run))
  await lab.wire.arrive()
  t.strictSame((await lab.differences('net')).wrong, [], 'what hosts believe is so')
  for (const name of names) await lab.join(name)
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] }, 'whoever comes back finds what was lost')
  // Half of them never come back: their leases end, and the janitor gives their blocks to the others.
  for (const name of names.slice(5)) lab.disks.delete(name)
  const { entries } = await lab.store.list('/fairlead/v1/alive/')
  await lab.store.commit([], entries.filter(({ key }) => /h[5-9]$/.test(key)).map(({ key }) => ({ remove: key })))
  t.ok(await becomeJanitor(lab.store, 'h0', await lab.store.lease(60)))
  t.strictSame(await sweep(lab.store, 'h0', 1000, 100), [], 'marked')
  t.strictSame([...await sweep(lab.store, 'h0', 1100, 100)].sort(), names.slice(5), 'removed')
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] }, 'nothing of theirs is left')
  const milliseconds = (performance.now() - begun).toFixed(0)
  t.comment(`FAIRLEAD_SEED=${seed}: ${JSON.stringify(counts)}, ${milliseconds} ms`)
})
