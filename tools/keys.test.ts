import { test } from 'tap'
import { readmes } from './keys.ts'

test('the tables of keys in the READMEs are what the schemas say (make keys writes them)', async t => {
  const stale = (await readmes()).filter(({ text, wanted }) => text !== wanted).map(({ file }) => file)
  t.same(stale, [])
})
