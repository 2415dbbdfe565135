import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { parseResolvConf, readDns } from './resolv-conf.ts'

test('resolv.conf', async t => {
  const text = [
    '# comment', '; nameserver 192.0.2.9', 'nameserver 192.0.2.1', '\tnameserver  fd00::53  # first word', 'nameserver',
    'domain example.org', 'domain example.net', 'search a.example b.example', 'search c.example',
    'options ndots:5 rotate',
    'sortlist 192.0.2.0\r', '',
  ].join('\n')
  t.same(parseResolvConf(text), {
    nameservers: ['192.0.2.1', 'fd00::53'], domain: 'example.net', search: ['a.example', 'b.example',
      'c.example'], options: ['ndots:5', 'rotate'],
  })
  t.same(parseResolvConf('\n# nothing\ndomain\nnameserver\n'), {})
})

test('the file', async t => {
  const directory = mkdtempSync('/tmp/host-local-')
  t.teardown(() => rmSync(directory, { recursive: true }))
  writeFileSync(`${directory}/resolv.conf`, 'nameserver 192.0.2.1\n')
  t.same(readDns(undefined), {})
  t.same(readDns(`${directory}/resolv.conf`), { nameservers: ['192.0.2.1'] })
  t.throws(() => readDns(`${directory}/absent`), { code: 7, message: /ipam\.resolvConf .*absent does not exist/ })
})
