import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, unlinkSync, utimesSync,
  writeFileSync } from 'node:fs'
import { test, type Test } from 'tap'
import { bootRecord, type Boot } from './boot.ts'
import { inUse, Store } from './store.ts'

const SECOND = 1000
const boot: Boot = { id: 'boot-2', machine: 'machine-1', since: Date.now() - 3600 * SECOND }

/** A store of its own in a directory of the test's. */
const world = (t: Test, machine: Boot = boot) => {
  const place = mkdtempSync('/tmp/host-local-') // not t.testdir: its path is the same in every run
  t.teardown(() => rmSync(place, { recursive: true }))
  const directory = `${place}/store/net`
  const copies = `${place}/copies`
  return {
    directory, copies,
    open: (now: Boot = machine): Store => Store.open(directory, now, copies),
    use<T>(work: (store: Store) => T, now: Boot = machine): T {
      using store = Store.open(directory, now, copies)
      store.reclaim()
      const result = work(store)
      store.settle()
      return result
    },
    /** As a process that is killed after `work`. */
    killed(work: (store: Store) => void): void {
      using store = Store.open(directory, machine, copies)
      store.reclaim()
      work(store)
    },
    write: (address: string, record: string): void => {
      mkdirSync(directory, { recursive: true })
      writeFileSync(`${directory}/${address}`, record, { mode: 0o644 })
    },
    age: (address: string, seconds: number): void => utimesSync(`${directory}/${address}`, seconds, seconds),
    copy: (): string => {
      const { dev, ino } = statSync(directory)
      return `${copies}/${dev}-${ino}`
    },
    names: (): string[] => readdirSync(directory).sort(),
  }
}

test('records as the reference writes them', async t => {
  const { directory, use, names } = world(t)
  use(store => {
    t.ok(store.reserve('10.0.0.2', 'c1', 'eth0'))
    t.notOk(store.reserve('10.0.0.2', 'c2', 'eth0'), 'taken')
    store.setLast(0, '10.0.0.2')
  })
  t.same(names(), ['10.0.0.2', 'last_reserved_ip.0', 'lock'])
  t.equal(readFileSync(`${directory}/10.0.0.2`, 'utf8'), 'c1\r\neth0')
  t.equal(readFileSync(`${directory}/last_reserved_ip.0`, 'utf8'), '10.0.0.2')
  t.equal(statSync(`${directory}/10.0.0.2`).mode & 0o777, 0o600)
  t.equal(statSync(directory).mode & 0o777, 0o755)
})

test('an attachment is found again, by the copy and without', async t => {
  const { directory, copy, use } = world(t)
  use(store => { store.reserve('10.0.0.2', 'c1', 'eth0'); store.reserve('fd00::2', 'c1',
    'eth0'); store.reserve('10.0.0.3', 'c1', 'eth1') })
  t.ok(statSync(directory).mtimeMs < 2 ** 30 * SECOND, 'the mark')
  const held = (): string[] => use(store => store.held('c1', 'eth0').sort())
  t.same(held(), ['10.0.0.2', 'fd00::2'])
  unlinkSync(copy())
  t.same(held(), ['10.0.0.2', 'fd00::2'], 'without the copy')
  t.ok(existsSync(copy()), 'made again')
  use(store => store.release('fd00::2'))
  t.same(held(), ['10.0.0.2'])
  t.notMatch(readFileSync(copy(), 'utf8'), 'fd00::2')
  t.same(use(store => store.held('c', 'eth0')), [], 'a part of an id is another id')
  t.same(use(store => store.held('c1', 'eth')), [])
})

test('a copy that counts saves reading the records', async t => {
  const { directory, write, use } = world(t)
  use(store => store.reserve('10.0.0.2', 'c1', 'eth0'))
  const { mtimeMs } = statSync(directory)
  write('10.0.0.9', 'c9\r\neth0')
  utimesSync(directory, mtimeMs / SECOND, mtimeMs / SECOND)
  t.same(use(store => store.held('c9', 'eth0')), [], 'what was hidden from it is not seen')
  t.same(use(store => store.held('c1', 'eth0')), ['10.0.0.2'])
})

test('whoever touches the store makes the copy worthless', async t => {
  const { directory, copies, copy, write, use } = world(t)
  const held = (id: string): string[] => use(store => store.held(id, 'eth0'))
  use(store => store.reserve('10.0.0.2', 'c1', 'eth0'))
  write('10.0.0.9', 'c9\r\neth0')
  t.same(held('c9'), ['10.0.0.9'], 'created')
  unlinkSync(`${directory}/10.0.0.2`)
  t.same(held('c1'), [], 'removed')
  write('10.0.0.9', 'c8\r\neth0')
  t.same(held('c9'), [], 'overwritten: the record decides')
  t.same(held('c8'), ['10.0.0.9'])

  const text = readFileSync(copy(), 'utf8')
  write('10.0.0.10', 'c10\r\neth0')
  use(() => undefined)
  writeFileSync(copy(), text)
  t.same(held('c10'), ['10.0.0.10'], 'an old copy is none')
  writeFileSync(copy(), 'junk')
  t.same(held('c10'), ['10.0.0.10'], 'nor is junk')
  t.same(use(store => store.held('c10', 'eth0'), { ...boot, id: 'boot-3' }), ['10.0.0.10'],
    'nor is one of another boot')

  rmSync(copies, { recursive: true })
  writeFileSync(copies, 'a file where the directory should be')
  t.same(held('c10'), ['10.0.0.10'], 'it works without any')
  use(store => store.release('10.0.0.10'))
  t.same(held('c10'), [])
})

test('killed between two steps', async t => {
  const { directory, killed, use, names } = world(t)
  use(store => store.reserve('10.0.0.2', 'c1', 'eth0'))
  killed(store => store.reserve('10.0.0.3', 'c2', 'eth0'))
  t.same(use(store => store.held('c2', 'eth0')), ['10.0.0.3'], 'after the record')
  killed(store => store.release('10.0.0.3'))
  t.same(use(store => store.held('c2', 'eth0')), [], 'after the removal')
  writeFileSync(`${directory}/last_reserved_ip.0`, '')
  t.equal(use(store => store.last(0)), '', 'between truncation and writing')
  writeFileSync(`${directory}/10.0.0.4`, '')
  t.same(use(store => store.records()), [['10.0.0.2', 'c1\r\neth0'], ['10.0.0.4', '']], 'before the text of a record')
  writeFileSync(`${directory}/10.0.0.5`, '', { mode: 0o600 })
  use(store => store.sweep())
  t.same(names(), ['10.0.0.2', '10.0.0.4', 'last_reserved_ip.0', 'lock'], 'our own is gone, an operator\'s stays')
  use(store => store.retain(record => record !== '', step => step()))
  t.same(names(), ['10.0.0.2', 'last_reserved_ip.0', 'lock'], 'until garbage is collected')
})

test('records without interface name', async t => {
  const { write, use } = world(t)
  write('10.0.0.2', 'c1')
  write('10.0.0.3', 'c2\n')
  write('10.0.0.4', 'c1\r\neth7')
  t.same(use(store => store.held('c1', 'eth0')), ['10.0.0.2'])
  t.same(use(store => store.held('c2', 'eth9')), ['10.0.0.3'], 'blanks around it do not count')
  t.same(use(store => store.held('c1', 'eth7')), ['10.0.0.4'], 'one with the name comes first')
})

test('what is no record stays', async t => {
  const { directory, write, use, names } = world(t)
  const foreign = ['README', '1.2.3', '999.1.1.1', '1.2.3.4.bak', 'cafe', ':', 'a::b::c', '10.0.0.0_24',
    'last_reserved_ip.0', 'last_reserved_ip.1']
  for (const name of foreign) write(name, 'c1\r\neth0')
  mkdirSync(`${directory}/more`)
  write('10.0.0.2', 'c1\r\neth0')
  write('fd00::2', 'somebody else\'s')
  use(store => store.retain(() => false, step => step()))
  t.same(names(), [...foreign, 'lock', 'more'].sort())
})

test('nothing is created by who only looks', async t => {
  const { directory, copies } = world(t)
  t.equal(Store.openExisting(directory, boot, copies), undefined)
  t.same(inUse(directory, boot), [])
  t.notOk(existsSync(directory))
  t.notOk(existsSync(copies))
})

const before = boot.since / SECOND - 600
const earlier: Boot = { ...boot, id: 'boot-1' }

test('after a reboot the records of the boot before are gone, once', async t => {
  const { directory, age, use, write, names } = world(t)
  use(store => { store.reserve('10.0.0.2', 'c1', 'eth0'); store.setLast(0, '10.0.0.2') }, earlier)
  t.equal(readFileSync(`${directory}/lock`, 'utf8'), bootRecord(earlier))
  age('10.0.0.2', before)
  write('10.0.0.3', 'new\r\neth0') // by the reference, in this boot
  write('junk', 'x')
  age('junk', before)
  t.same(inUse(directory, boot), ['10.0.0.3'])
  t.ok(names().includes('10.0.0.2'), 'asking removes nothing')
  use(() => undefined)
  t.same(names(), ['10.0.0.3', 'junk', 'last_reserved_ip.0', 'lock'])
  t.equal(readFileSync(`${directory}/lock`, 'utf8'), bootRecord(boot))

  write('10.0.0.5', 'c5\r\neth0')
  age('10.0.0.5', before)
  use(() => undefined)
  t.ok(names().includes('10.0.0.5'), 'once: later the clock may have been set')
  t.same(inUse(directory, boot), ['10.0.0.3', '10.0.0.5'])
})

test('nothing is reclaimed', async t => {
  const kept = async (name: string, lock: string, now: Boot = boot): Promise<void> => {
    await t.test(name, async t => {
      const { directory, write, age, use, names } = world(t)
      write('10.0.0.2', 'c1\r\neth0')
      write('lock', lock)
      age('10.0.0.2', before)
      t.same(inUse(directory, now), ['10.0.0.2'])
      use(() => undefined, now)
      t.same(names(), ['10.0.0.2', 'lock'])
    })
  }
  await kept('from a store that only the reference has used', '')
  await kept('on another machine', bootRecord({ ...earlier, machine: 'machine-2' }))
  await kept('on a machine without id', bootRecord({ ...earlier, machine: '' }), { ...boot, machine: '' })
  await kept('after a lock that was half written', bootRecord(earlier).slice(0, -4))
  await kept('within the boot', bootRecord(boot))
  await kept('when the kernel started only just', bootRecord(earlier),
    { ...boot, since: before * SECOND + 30 * SECOND })
})

test('DEL after a reboot is no use that counts', async t => {
  const { directory, copies, age, use, names } = world(t)
  use(store => { store.reserve('10.0.0.2', 'c1', 'eth0'); store.reserve('10.0.0.3', 'c2', 'eth0') }, earlier)
  age('10.0.0.2', before)
  age('10.0.0.3', before)
  {
    using store = Store.openExisting(directory, boot, copies)!
    for (const address of store.held('c1', 'eth0')) store.release(address)
    store.settle()
  }
  t.same(names(), ['10.0.0.3', 'lock'], 'it removes its own only')
  use(() => undefined)
  t.same(names(), ['lock'], 'and the rest is still reclaimed')
})

test('what the agent keeps for another host\'s container goes neither by a reboot nor as garbage', async t => {
  const { age, use, names } = world(t)
  use(store => { store.reserve('10.0.0.2', 'h2/c1', 'eth0'); store.reserve('10.0.0.3', 'c2', 'eth0') }, earlier)
  age('10.0.0.2', before)
  age('10.0.0.3', before)
  use(() => undefined)
  t.same(names(), ['10.0.0.2', 'lock'])
  use(store => store.retain(() => false, step => step()))
  t.same(names(), ['10.0.0.2', 'lock'])
  use(store => store.release('10.0.0.2'))
  t.same(names(), ['lock'], 'only by who keeps it')
})
