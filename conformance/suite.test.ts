import { test } from 'tap'
import { groups } from './case.ts'
import { reference } from './known/reference.ts'
import { isKnown } from './profile.ts'
import { loadCases } from './suite.ts'

const isTarget = (name: string): boolean =>
  name === 'ALL' || groups.some(group => group === name) || isKnown(name)

test('every case says what it applies to in words that exist', async t => {
  for (const { id, applies } of await loadCases())
    t.ok(applies.some(isTarget), `${id} applies to ${applies.join(', ')}`)
})

test('areas A to D, K and M have no gaps', async t => {
  const ids = new Set((await loadCases()).map(({ id }) => id))
  for (const [area, count] of [['A', 40], ['B', 25], ['C', 27], ['D', 14], ['K', 23], ['M', 15]] as const)
    for (let n = 1; n <= count; n++) t.ok(ids.has(`${area}${String(n).padStart(2, '0')}`), `${area}${n}`)
})

test('the table of the reference names cases and plugins that exist, each once', async t => {
  const ids = (await loadCases()).map(({ id }) => id)
  const areas = new Set(ids.map(id => id[0]))
  t.equal(new Set(reference.map(({ id }) => id)).size, reference.length)
  for (const { id, cases } of reference)
    for (const [test, plugins] of Object.entries(cases)) {
      const exists = ids.includes(test) || !areas.has(test[0])
      t.ok(exists && plugins.every(isTarget), `${id} lists ${test} of ${plugins.join(', ')}`)
    }
})
