import { test } from 'tap'
import { differences } from './snapshot.ts'

test('differences say what has come and what has gone', async t => {
  t.same(differences(['a', 'b'], ['b', 'c']), ['- a', '+ c'])
  t.same(differences(['a', 'b'], ['a', 'b']), [])
})

test('a line that is there twice counts twice', async t => {
  t.same(differences(['rule'], ['rule', 'rule']), ['+ rule'])
  t.same(differences(['rule', 'rule'], ['rule']), ['- rule'])
})
