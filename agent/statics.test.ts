// Addresses of single containers, in blocks of their own host, of another one, and of nobody.
import { test } from 'tap'
import { claimBlock } from './blocks.ts'
import { removeHost } from './departure.ts'
import { createNetwork } from './network.ts'
import { answerStatics, claimStatic, releaseStatic, staticsWithin } from './statics.ts'
import { get } from './store/lookup.ts'
import { isTrouble } from './store/store-error.ts'
import { blockKey, staticKey } from './layout.ts'
import { put } from './store/transaction.ts'
import { faultAt, faults, newLab, persist, type Fate, type Lab } from './trial.ts'

const small = { subnet: '10.1.0.0/24', blockLength: 28 }
const flat = { addressing: 'flat', ranges: [small, { subnet: 'fd00::/112', blockLength: 122 }], vni: 5000 } as const
const holder = { container: 'c1', ifname: 'eth0' }

void test('where nobody has a block', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const [one, two] = [await lab.join('h1'), await lab.join('h2')]
  t.match(await claimStatic(one, 'net', '10.1.0.20', holder), { host: 'h1', granted: true, ...holder })
  t.match(await claimStatic(one, 'net', 'fd00::20', holder), { granted: true })
  t.match(await claimStatic(one, 'net', '10.1.0.20', holder), { granted: true }, 'the same container again')
  const taken = { name: 'OverlayError', obstacle: 'taken', message: /10\.1\.0\.20 of network net belongs to c1 on h1/ }
  await t.rejects(claimStatic(two, 'net', '10.1.0.20', holder), taken)
  await t.rejects(claimStatic(one, 'net', '10.1.0.20', { ...holder, container: 'c2' }), taken)
  await t.rejects(claimStatic(one, 'net', '10.2.0.20', holder), { name: 'OverlayError', obstacle: 'invalid' })
  t.equal(await claimBlock(two, 'net', small, { wanted: '10.1.0.16/28' }), '10.1.0.16/28')
  t.match(await staticsWithin(two, 'net', '10.1.0.16/28'), [{ ip: '10.1.0.20' }], 'who gets the block later is told')
  t.same(await staticsWithin(two, 'net', '10.1.0.32/28'), [])
  await releaseStatic(two, 'net', '10.1.0.20')
  t.ok(await get(lab.store, staticKey('net', '10.1.0.20')), 'only its host can give it back')
  await releaseStatic(one, 'net', '10.1.0.20')
  t.equal(await get(lab.store, staticKey('net', '10.1.0.20')), undefined)
  t.same(one.share('net')?.statics.map(({ ip }) => ip), ['fd00::20'])
})

void test('in the block of another host', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const [one, two] = [await lab.join('h1'), await lab.join('h2')]
  await claimBlock(one, 'net', small, { wanted: '10.1.0.16/28' })
  t.match(await claimStatic(one, 'net', '10.1.0.17', holder), { granted: true }, 'in its own')
  const wanted = ['10.1.0.20', '10.1.0.21']
  for (const ip of wanted) t.match(await claimStatic(two, 'net', ip, holder), { granted: false }, ip)
  const asked: string[] = []
  const reserve = ({ ip }: { readonly ip: string }): boolean => {
    asked.push(ip)
    return ip !== '10.1.0.21'
  }
  await answerStatics(two, 'net', reserve)
  t.same(asked, [], 'not its block')
  await answerStatics(one, 'net', reserve)
  t.same(asked, ['10.1.0.20', '10.1.0.21'])
  t.match(await claimStatic(two, 'net', '10.1.0.20', holder), { granted: true })
  await t.rejects(claimStatic(two, 'net', '10.1.0.21', holder),
    { name: 'OverlayError', obstacle: 'taken', message: /10\.1\.0\.21 of network net belongs to a container/ })
  t.same(two.share('net')?.statics.map(({ ip }) => ip), ['10.1.0.20'])
  t.equal(await get(lab.store, staticKey('net', '10.1.0.21')), undefined)
  await answerStatics(one, 'net', reserve)
  t.equal(asked.length, 2, 'nothing is asked any more')
})

void test('what no agent would write', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const [one, two] = [await lab.join('h1'), await lab.join('h2')]
  await claimBlock(one, 'net', small, { wanted: '10.1.0.16/28' })
  for (const ip of ['10.1.0.20/../x', '10.1.0.21', '10.1.0.020', 5, undefined])
    for (const granted of [false, true]) {
      const value = JSON.stringify({ host: 'h2', ip, granted, ...holder })
      await lab.store.commit([], [put(staticKey('net', '10.1.0.20'), value)])
      await answerStatics(one, 'net', record => t.fail(`${record.ip} is reserved`))
      t.same(await staticsWithin(one, 'net', '10.1.0.16/28'), [])
    }
  await lab.store.commit([], [put(blockKey('net', '10.1.0.32/28'), 'x')])
  await t.rejects(claimStatic(two, 'net', '10.1.0.33', holder), { name: 'OverlayError', obstacle: 'taken' })
})

void test('a host that was removed and comes back', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const [one, two] = [await lab.join('h1'), await lab.join('h2')]
  await claimBlock(one, 'net', small, { wanted: '10.1.0.16/28' })
  for (const ip of ['10.1.0.20', '10.1.0.21']) await claimStatic(two, 'net', ip, holder)
  await answerStatics(one, 'net', () => true)
  for (const ip of ['10.1.0.20', '10.1.0.21']) t.match(await claimStatic(two, 'net', ip, holder), { granted: true })
  await removeHost(lab.store, 'h2', true)
  const back = await lab.join('h2')
  t.match(await staticsWithin(one, 'net', '10.1.0.16/28'), [{ granted: false }, { granted: false }])
  await answerStatics(one, 'net', ({ ip }) => ip === '10.1.0.20')
  t.match(await claimStatic(back, 'net', '10.1.0.20', holder), { granted: true })
  await t.rejects(claimStatic(back, 'net', '10.1.0.21', holder), { name: 'OverlayError', obstacle: 'taken' })
})

void test('given back while the other host agrees', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const [one, two] = [await lab.join('h1'), await lab.join('h2')]
  await claimBlock(one, 'net', small, { wanted: '10.1.0.16/28' })
  await claimStatic(two, 'net', '10.1.0.20', holder)
  await Promise.all([answerStatics(one, 'net', () => true), releaseStatic(two, 'net', '10.1.0.20')])
  t.equal(await get(lab.store, staticKey('net', '10.1.0.20')), undefined)
})

void test('a block in which another host has an address already', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const [one, two] = [await lab.join('h1'), await lab.join('h2')]
  await claimStatic(one, 'net', '10.1.0.20', holder)
  const wanted = '10.1.0.16/28'
  const before = lab.disks.get('h2')!
  const prepared: string[] = []
  await claimBlock(two, 'net', small, {
    wanted, prepare: async block => {
      prepared.push(block)
      t.same(lab.blocksOf('h2', 'net'), [], 'nothing is handed out of it before')
    },
  })
  t.same(prepared, [wanted])
  t.same(lab.blocksOf('h2', 'net'), [wanted])
  // Killed between the store's yes and the preparation.
  lab.disks.set('h2', before)
  const again = await lab.join('h2')
  t.same(lab.blocksOf('h2', 'net'), [], 'it is not used unprepared')
  await claimBlock(again, 'net', small, { prepare: async block => { prepared.push(block) } })
  t.same(prepared, [wanted, wanted], 'but the first to be claimed again')
  t.same((await lab.join('h2')).share('net')?.blocks, [wanted])
})

void test('after a crash', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const one = await lab.join('h1')
  await claimStatic(one, 'net', '10.1.0.20', holder)
  const before = lab.disks.get('h1')!
  await claimStatic(one, 'net', '10.1.0.21', holder)
  lab.disks.set('h1', before)
  const again = await lab.join('h1')
  t.same(again.share('net')?.statics.map(({ ip }) => ip), ['10.1.0.20'])
  t.equal(await get(lab.store, staticKey('net', '10.1.0.21')), undefined, 'it was never handed out')
  await lab.store.commit([], [{ remove: staticKey('net', '10.1.0.20') }])
  await lab.join('h1')
  t.ok(await get(lab.store, staticKey('net', '10.1.0.20')), 'the store had lost it')
  await removeHost(lab.store, 'h1', true)
  t.equal(await get(lab.store, staticKey('net', '10.1.0.20')), undefined)
  const two = await lab.join('h2')
  t.match(await claimStatic(two, 'net', '10.1.0.20', holder), { host: 'h2', granted: true }, 'another one at once')
  t.same((await lab.join('h1')).share('net')?.statics, [])
})

void test('a fault at every write', async t => {
  const ip = '10.1.0.20'
  const hasIt = (lab: Lab, host: string): boolean =>
    lab.disks.get(host)?.shares['net']?.statics.some(record => record.ip === ip) ?? false
  const trial = async (lab: Lab, fate: Fate): Promise<void> => {
    await persist(lab, 'h1', fate, async member => {
      await claimStatic(member, 'net', ip, holder)
      // An agent that goes on without its answer.
      await releaseStatic(member, 'net', ip).catch(error => { if (!isTrouble(error)) throw error })
      await claimStatic(member, 'net', ip, holder)
    })
    await lab.wire.arrive()
    t.ok(hasIt(lab, 'h1'))
    const now = await get(lab.store, staticKey('net', ip))
    t.match(now, { value: /"host":"h1"/ }, 'the store says so, too')
    await t.rejects(claimStatic(await lab.join('h2'), 'net', ip, holder), { name: 'OverlayError', obstacle: 'taken' })
  }
  let trials = 0
  for (const fault of faults) {
    for (let at = 0; ; at++) {
      const { lab } = await newLab(t)
      await createNetwork(lab.store, 'net', flat)
      const { fate, reached } = faultAt(at, fault)
      await trial(lab, fate)
      if (!reached()) break
      trials++
    }
  }
  t.ok(trials > 30, `${trials} faults`)
  t.comment(`${trials} faults`)
})

void test('many at once', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const members = await Promise.all(Array.from({ length: 20 }, (_, i) => lab.join(`h${i}`)))
  const claims = await Promise.allSettled(members.map(member => claimStatic(member, 'net', '10.1.0.20', holder)))
  t.equal(claims.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const claim of claims) if (claim.status === 'rejected') t.equal(claim.reason.obstacle, 'taken')
})
