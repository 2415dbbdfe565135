import { test } from 'tap'
import { compareVersions, isAtLeast } from './versions.ts'

test('versions are compared as numbers', async t => {
  t.ok(compareVersions('0.10.0', '0.9.0') > 0)
  t.ok(compareVersions('0.4.0', '1.0.0') < 0)
  t.equal(compareVersions('1.1.0', '1.1.0'), 0)
  t.ok(isAtLeast('0.4.0', '0.4.0'))
  t.notOk(isAtLeast('0.3.1', '0.4.0'))
})
