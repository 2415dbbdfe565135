// The run loop, without a process and without a network: a driver that does nothing but take notes.
import { test } from 'tap'
import { driver, type AnyDriver } from './driver.ts'
import { CniError } from './errors.ts'
import { invoke, type Surroundings } from './invocation.ts'
import { noResult } from './result.ts'
import type { Validate } from './schema.ts'

const schema = { type: 'object', properties: {} } as const
const validate: Validate = () => true

const noting = (notes: string[], fails: readonly string[] = []): AnyDriver => {
  const note = (verb: string): void => {
    notes.push(verb)
    if (fails.includes(verb)) throw new CniError('internal', `${verb} failed`)
  }
  return driver({
    name: 'noting', kind: 'ipam', schema, validate,
    add({ undo }) {
      undo('first', () => note('undo first'))
      undo('second', () => note('undo second'))
      note('add')
      return { ...noResult, ips: [{ address: '10.0.0.2/24' }] }
    },
    check: () => note('check'),
    del({ attempt }) {
      attempt(() => note('del one'))
      attempt(() => note('del two'))
    },
    status: () => note('status'),
    gc: () => note('gc'),
  })
}

const around = (verb: string, config: object, extra: Partial<Surroundings> = {}): Surroundings => ({
  variables: {
    CNI_COMMAND: verb, CNI_CONTAINERID: 'c', CNI_NETNS: '/nowhere', CNI_IFNAME: 'eth0', CNI_PATH: '/nowhere',
  },
  stdin: () => new TextEncoder().encode(JSON.stringify({ name: 'n', cniVersion: '1.1.0', ...config })),
  executable: undefined,
  resident: () => undefined,
  deliver() {},
  warn() {},
  ...extra,
})

test('ADD delivers a result of the version that was asked for', async t => {
  let delivered: unknown
  invoke(noting([]), around('ADD', { cniVersion: '0.4.0' }, { deliver: result => { delivered = result } }))
  t.match(delivered, { cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.2/24' }] })
})

test('a failed ADD is taken back, newest step first, and the first error stays', async t => {
  const notes: string[] = []
  const warnings: string[] = []
  const surroundings = around('ADD', {}, { warn: text => warnings.push(text) })
  t.throws(() => invoke(noting(notes, ['add', 'undo second']), surroundings), { message: 'add failed' })
  t.same(notes, ['add', 'undo second', 'undo first'])
  t.match(warnings, [/undo of second/])
})

test('a result that nobody takes is a failed ADD', async t => {
  const notes: string[] = []
  const surroundings = around('ADD', {}, { deliver() { throw new Error('EPIPE') } })
  t.throws(() => invoke(noting(notes), surroundings), { message: 'EPIPE' })
  t.same(notes, ['add', 'undo second', 'undo first'])
})

test('DEL gets further: every step runs, the first failure is told', async t => {
  const notes: string[] = []
  t.throws(() => invoke(noting(notes, ['del one']), around('DEL', { prevResult: 5 })), { message: 'del one failed' })
  t.same(notes, ['del one', 'del two'])
})

test('GC removes nothing unless it is told what lives', async t => {
  const notes: string[] = []
  const warnings: string[] = []
  invoke(noting(notes), around('GC', {}, { warn: text => warnings.push(text) }))
  t.same(notes, [])
  t.match(warnings, [/not told which attachments live/])
  invoke(noting(notes), around('GC', { 'cni.dev/valid-attachments': null }))
  t.same(notes, ['gc'])
})

test('the environment is judged before stdin is read', async t => {
  const surroundings = around('ADD', {}, { stdin() { throw new Error('read') } })
  t.throws(() => invoke(noting([]), { ...surroundings, variables: { CNI_COMMAND: 'ADD' } }), { code: 4 })
})

test('the plugin\'s own namespace is for drivers that share it', async t => {
  const own = { CNI_NETNS: '/proc/thread-self/ns/net' }
  const inOwn = (driver: AnyDriver, verb: string): void => {
    const { variables, ...rest } = around(verb, {})
    invoke(driver, { ...rest, variables: { ...variables, ...own } })
  }
  const notes: string[] = []
  t.throws(() => inOwn(noting(notes), 'ADD'), { code: 8 })
  t.same(notes, [], 'before any work')
  t.throws(() => inOwn(noting(notes), 'DEL'), { code: 8 })
  t.same(notes.splice(0), ['del one', 'del two'])
  for (const verb of ['ADD', 'DEL']) inOwn({ ...noting(notes), sharesHost: true }, verb)
  t.same(notes, ['add', 'del one', 'del two'])
})
