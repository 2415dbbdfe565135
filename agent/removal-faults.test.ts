// Whoever removes a host or a network dies at any of its writes, and so does whoever lives on meanwhile: no block and
// no address has two owners, and nothing stays behind that nobody can have.
import { test } from 'tap'
import { claimBlock, ensureBlocks, releaseBlock } from './blocks.ts'
import { removeHost } from './departure.ts'
import { alive, hosts, nets, root } from './layout.ts'
import type { Member } from './member.ts'
import { createNetwork, removeNetwork } from './network.ts'
import { retireNetwork } from './network-removal.ts'
import { answerStatics, claimStatic, releaseStatic } from './statics.ts'
import type { Store } from './store/store.ts'
import { isTrouble } from './store/store-error.ts'
import { remove } from './store/transaction.ts'
import { faultAt, faults, fatefulStore, Killed, newLab, persist, type Fate, type Lab } from './trial.ts'

const tiny = { subnet: '10.1.0.0/27', blockLength: 28 }
const six = { subnet: 'fd00::/120', blockLength: 122 }
const flat = { addressing: 'flat', ranges: [tiny, six], vni: 5000 } as const
const holder = { container: 'c1', ifname: 'eth0' }

/** Every fault at every write, until no write is left. */
const everywhere = async (least: number, trial: (fate: Fate, where: string) => Promise<void>): Promise<number> => {
  let trials = 0
  for (const fault of faults) {
    for (let at = 0; ; at++) {
      const { fate, reached } = faultAt(at, fault)
      await trial(fate, `${fault} at write ${at}`)
      if (!reached()) break
      trials++
    }
  }
  if (trials < least) throw new Error(`only ${trials} faults`)
  return trials
}

/** Does one thing until it is done, as a person who types a command again when it has failed. */
const insist = async (lab: Lab, fate: Fate, step: (store: Store) => Promise<unknown>): Promise<void> => {
  for (;;) {
    try {
      await step(fatefulStore(lab.store, fate, lab.wire))
      return
    } catch (error) {
      if (!(error instanceof Killed) && !isTrouble(error, 'unknown', 'unreachable')) throw error
    }
  }
}

void test('a host is removed', async t => {
  const trials = await everywhere(8, async (fate, where) => {
    const { lab } = await newLab(t)
    await createNetwork(lab.store, 'net', flat)
    const gone = await lab.join('gone')
    for (let i = 0; i < 2; i++) await claimBlock(gone, 'net', tiny)
    await claimBlock(gone, 'net', six)
    await claimStatic(gone, 'net', '10.1.0.20', holder)
    await lab.store.commit([], [remove(alive.key('gone'))])
    await insist(lab, fate, store => removeHost(store, 'gone'))
    await lab.wire.arrive()
    const { entries } = await lab.store.list(root)
    t.same(entries.filter(({ key, value }) => key === hosts.key('gone') || value.includes('"gone"')), [], where)
    // What it had is free at once, and it knows that when it is back.
    const heir = await lab.join('heir')
    t.equal((await claimBlock(heir, 'net', tiny)).endsWith('/28'), true)
    t.match(await claimStatic(heir, 'net', '10.1.0.20', holder), { granted: true })
    const back = await lab.join('gone')
    t.same(lab.shared('net'), [], `one owner: ${where}`)
    t.same(back.share('net')?.lost, lab.blocksOf('heir', 'net'))
    t.same(back.share('net')?.statics, [])
    t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] }, where)
  })
  t.comment(`${trials} faults`)
})

void test('a host is removed while it claims', async t => {
  const trials = await everywhere(15, async (fate, where) => {
    const { lab } = await newLab(t)
    await createNetwork(lab.store, 'net', flat)
    let removals = 0
    // Before each of its writes, once: the host is removed under its hands.
    for (let at = 0; at < 6; at++) {
      let count = 0
      const racing: Fate = () => {
        if (count++ === at) void removeHost(lab.store, 'h1', true).then(() => { removals++ })
        return fate()
      }
      await persist(lab, 'h1', racing, async member => {
        await ensureBlocks(member, 'net')
        await claimStatic(member, 'net', '10.1.0.20', holder)
      }, 'removed', 'taken') // the address may lie in what the other host has got meanwhile
      await persist(lab, 'h2', () => undefined, async member => { await ensureBlocks(member, 'net') })
      t.same(lab.shared('net'), [], `one owner: ${where}, removed at ${at}`)
    }
    t.ok(removals > 0)
    await lab.wire.arrive()
    await lab.join('h1')
    t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] }, where)
  })
  t.comment(`${trials} faults`)
})

void test('a network is removed', async t => {
  for (const how of [removeNetwork, (store: Store, name: string) => retireNetwork(store, name, 50)]) {
    const trials = await everywhere(8, async (fate, where) => {
      const { lab } = await newLab(t)
      await createNetwork(lab.store, 'net', flat)
      const member = await lab.join('h1')
      const block = await claimBlock(member, 'net', tiny)
      const used = { name: 'OverlayError', obstacle: 'taken' }
      await t.rejects(insist(lab, fate, store => how(store, 'net')), used, where)
      await lab.wire.arrive()
      // Whatever has happened: the network works, or can be removed.
      await releaseBlock(member, 'net', block)
      await how(lab.store, 'net').catch(error => { if (error.obstacle !== 'no-network') throw error })
      t.same((await lab.store.list(nets.prefix)).entries, [], where)
      t.same((await lab.store.list(`${root}vnis/`)).entries, [], where)
      await createNetwork(lab.store, 'net', flat)
    })
    t.comment(`${trials} faults`)
    await everywhere(8, async (fate, where) => {
      const { lab } = await newLab(t)
      await createNetwork(lab.store, 'net', flat)
      await insist(lab, fate, store => how(store, 'net')).catch(error => {
        if (error.obstacle !== 'no-network') throw error // it was done, and the answer lost
      })
      await lab.wire.arrive()
      t.same((await lab.store.list(nets.prefix)).entries, [], where)
      await createNetwork(lab.store, 'net', flat)
    })
  }
})

void test('a network is removed while a host claims', async t => {
  let both = 0
  for (const how of [removeNetwork, (store: Store, name: string) => retireNetwork(store, name, 0)]) {
    for (let at = 0; at < 8; at++) {
      const { lab } = await newLab(t)
      await createNetwork(lab.store, 'net', flat)
      const member = await lab.join('h1')
      let count = 0
      const claim = async (): Promise<void> => {
        if (count++ === at) await claimBlock(member, 'net', tiny).then(() => { both++ }, () => undefined)
      }
      // Before each of the remover's questions and writes, once.
      const racing: Store = {
        ...fatefulStore(lab.store, () => undefined, lab.wire),
        async list(prefix) { await claim(); return await lab.store.list(prefix) },
        async commit(conditions, operations) { await claim(); return await lab.store.commit(conditions, operations) },
      }
      const isGone = await how(racing, 'net').then(() => true, error => {
        if (error.obstacle !== 'taken') throw error
        return false
      })
      const { entries } = await lab.store.list(nets.prefix)
      t.equal(entries.length, isGone ? 0 : 2, `claimed before step ${at}`)
      t.equal(lab.blocksOf('h1', 'net').length, isGone ? 0 : 1)
    }
  }
  t.ok(both > 2, `${both} claims came in between`)
})

void test('an address of another host\'s block, and both die', async t => {
  const ip = '10.1.0.20'
  for (const dying of ['guest', 'owner']) {
    const trials = await everywhere(5, async (fate, where) => {
      const { lab } = await newLab(t)
      await createNetwork(lab.store, 'net', flat)
      const fateOf = (host: string): Fate => host === dying ? fate : () => undefined
      const kept = new Set<string>()
      const answer = async (member: Member): Promise<void> => {
        await answerStatics(member, 'net', record => { kept.add(record.ip); return true })
      }
      const own = async (): Promise<void> => persist(lab, 'owner', fateOf('owner'), async member => {
        if (!lab.blocksOf('owner', 'net').includes('10.1.0.16/28'))
          await claimBlock(member, 'net', tiny, { wanted: '10.1.0.16/28' })
        await answer(member)
      })
      await own()
      for (let round = 0; round < 2; round++) {
        await persist(lab, 'guest', fateOf('guest'), async member => {
          while (!(await claimStatic(member, 'net', ip, holder)).granted) await own()
        })
        t.ok(kept.has(ip), `the owner keeps it: ${where}`)
        const taken = { name: 'OverlayError', obstacle: 'taken' }
        await t.rejects(claimStatic(await lab.join('third'), 'net', ip, holder), taken, where)
        if (round === 0) await persist(lab, 'guest', fateOf('guest'), member => releaseStatic(member, 'net', ip))
      }
      await lab.wire.arrive()
      await lab.join('guest')
      t.match(lab.disks.get('guest')?.shares['net']?.statics, [{ ip, granted: true }], where)
      t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] }, where)
    })
    t.comment(`${dying} dies: ${trials} faults`)
  }
})
