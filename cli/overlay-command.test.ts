// fairlead overlay … and fairlead host … with a store in a directory.
import { mkdtempSync, rmSync } from 'node:fs'
import { test } from 'tap'
import { createNetwork } from '#agent/network.ts'
import { ensureBlocks } from '#agent/blocks.ts'
import { join } from '#agent/membership.ts'
import { memoryFile } from '#agent/memory.ts'
import { FileStore } from '#agent/store/file.ts'
import { runCommand } from './command.ts'

void test('networks and hosts', async t => {
  const place = mkdtempSync('/tmp/fairlead-command-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  const run = async (...words: string[]) => {
    const output = { status: -1, stdout: '', stderr: '' }
    const shell = {
      variables: {}, directory: '/', executable: '/fairlead', stateDirectory: place,
      print: (text: string) => { output.stdout += text },
      complain: (line: string) => { output.stderr += `${line}\n` },
    }
    output.status = await runCommand([...words, '--store', `${place}/store`], { plugins: [], shell })
    return output
  }
  t.match(await run('overlay', 'list'), { status: 0, stdout: /^NETWORK +VNI +ADDRESSING +SUBNETS +HOSTS +BLOCKS\n$/ })
  t.match(await run('overlay', 'create', 'blue', '--subnet', '10.1.0.0/16', '--subnet', 'fd00:1::/48', '--vni', '77'),
    { status: 0, stdout: /network: +blue\nvni: +77\n[^]*10\.1\.0\.0\/16 in blocks of \/24\n/ })
  const flat = ['--flat', '--internal', '--subnet', '10.2.0.0/24', '--block-length', '28']
  t.match(await run('overlay', 'create', 'flat', ...flat),
    { status: 0, stdout: /internal: +yes\n[^]*blocks of \/28/ })
  const secret = ['--encryption', 'wireguard', '--subnet', '10.4.0.0/16']
  t.match(await run('overlay', 'create', 'secret', ...secret), { status: 0, stdout: /\nencryption: +wireguard\n/ })
  t.match(await run('overlay', 'list'), { stdout: /\nsecret +\d+ +hostSubnet, wireguard +10\.4/ })
  t.match(await run('overlay', 'inspect', 'blue'), { stdout: /\nencryption: +none\n/ })
  const pool = ['--pool', '--subnet', '192.168.1.0/24', '--subnet', 'fd00:9::/64', '--gateway', '192.168.1.9']
  t.match(await run('overlay', 'create', 'lan', ...pool, '--range-start', 'fd00:9::100'), {
    status: 0, stdout: new RegExp('addressing: pool: .*\nsubnet: +192\\.168\\.1\\.0/24 in blocks of /28\n' +
      'range: +192\\.168\\.1\\.1 to .*\\.254\ngateway: +192\\.168\\.1\\.9\n[^]*range: +fd00:9::100 to '),
  })
  t.match(await run('overlay', 'list'), { stdout: /\nlan +- +pool +192\.168\.1\.0\/24, fd00:9::\/64 +0 +0 of / })
  t.match(await run('overlay', 'create', 'auto'), { status: 0, stdout: /subnet: +10\.\d+\.0\.0\/16/ })
  for (const [words, status, message] of [
    [['overlay', 'create', 'blue', '--subnet', '10.9.0.0/16'], 1, /network blue exists: choose another name/],
    [['overlay', 'create', 'red', '--subnet', '10.1.5.0/24'], 1, /overlaps 10\.1\.0\.0\/16 of blue/],
    [['overlay', 'create', 'red', '--subnet', '10.1.5.1/24'], 1, /has host bits/],
    [['overlay', 'create', 'red', '--subnet', '10.9.0.0/16', '--encryption', 'x'], 1, /"x" is not known: one of none/],
    [['overlay', 'create', 'red', '--subnet', '10.9.0.0/16', '--vni', 'x'], 2, /--vni x is no number/],
    [['overlay', 'create', 'red', '--pool'], 2, /--pool takes the --subnet/],
    [['overlay', 'create', 'red', ...pool, '--vni', '9'], 2, /--vni is for overlays/],
    [['overlay', 'create', 'red', '--gateway', '10.9.0.1'], 2, /--gateway takes --pool/],
    [['overlay', 'create', 'red', '--pool', '--subnet', '192.168.1.0/25'], 1, /overlaps 192\.168\.1\.0\/24 of lan/],
    [['overlay', 'create', 'red', '--subnet', '10.9.0.0/16', '--block-length', 'x'], 2, /--block-length x is no/],
    [['overlay', 'create', 'red', '--subnet', '10.9.0.0/16', '--port', '99999'], 1, /port 99999 is not from 1 to/],
    [['overlay', 'create', 'red', '--subnet', '224.0.0.0/16'], 1, /has addresses of 224\.0\.0\.0\/3/],
    [['overlay', 'list', 'blue'], 2, /overlay list takes no name/], [['host', 'list', 'h1'], 2, /takes no name/],
    [['overlay', 'create'], 2, /overlay create takes a name/], [['overlay', 'paint'], 2, /create, list, inspect or rm/],
    [['overlay', 'inspect', 'red'], 1, /there is no network red in directory \S+\/store: see `fairlead overlay list`/],
    [['overlay', 'rm', 'red'], 1, /there is no network red in/], [['host', 'rm', 'h9'], 1, /there is no host h9 in/],
    [['host', 'x'], 2, /list or rm/],
  ] as const)
    t.match(await run(...words), { status, stdout: '', stderr: message }, words.join(' '))

  const store = new FileStore(`${place}/store`)
  t.teardown(() => { store.close() })
  const memory = memoryFile(`${place}/state.json`)
  const { member, lease } = await join(store, memory, 'h1', { vtep4: '192.0.2.1', name: 'web' })
  await ensureBlocks(member, 'blue')
  t.match(await run('host', 'list'), { status: 0, stdout: /\nh1 +web +192\.0\.2\.1 +alive +2 +blue\n/ })
  t.match(JSON.parse((await run('host', 'list', '--json')).stdout), [{ host: 'h1', alive: true, networks: ['blue'] }])
  t.match(await run('overlay', 'list'),
    { stdout: /\nblue +77 +hostSubnet +10\.1\.0\.0\/16, fd00:1::\/48 +1 +2 of 65792\n/ })
  t.match(await run('overlay', 'inspect', 'blue'), { stdout: /\n10\.1\.\d+\.0\/24 +h1 +web +alive\n/ })
  t.match(await run('host', 'rm', 'h1'), { status: 1, stderr: /host h1 is alive: stop its agent/ })
  await lease.revoke()
  t.match(await run('host', 'list'), { stdout: /\nh1 +web +192\.0\.2\.1 +silent +2 / })
  t.match(await run('host', 'rm', 'h1'), { status: 0, stdout: '' })
  t.match(JSON.parse((await run('overlay', 'inspect', 'blue', '--json')).stdout), { network: 'blue', blocks: [] })
  t.match(await run('overlay', 'rm', 'blue'), { status: 0 })
  await createNetwork(store, 'blue', { ranges: [{ subnet: '10.1.0.0/16' }] })
})
