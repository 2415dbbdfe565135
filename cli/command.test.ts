import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { runCommand } from './command.ts'
import { answering, failing, StubPlugins } from './stub-plugins.ts'

/** Runs a command in a place of its own; says how it ended and what it wrote. */
const run = (place: StubPlugins, args: readonly string[], variables: Record<string, string> = {}) => {
  const output = { status: -1, stdout: '', stderr: '' }
  const status = runCommand(args, {
    plugins: ['one'],
    shell: {
      variables: { PATH: process.env['PATH'], NETCONFPATH: place.configurations, CNI_PATH: place.bin, ...variables },
      directory: place.root,
      executable: `${place.bin}/fairlead`,
      stateDirectory: place.state,
      print: text => { output.stdout += text },
      complain: line => { output.stderr += `${line}\n` },
    },
  })
  if (typeof status === 'number') output.status = status
  return output
}

test('words', async t => {
  using place = new StubPlugins()
  for (const args of [['help'], ['--help'], ['-h'], ['add', '--help'], ['help', 'add']]) {
    t.match(run(place, args), { status: 0, stdout: /fairlead install DIR/, stderr: '' }, args.join(' '))
  }
  const release = /^fairlead \d+\.\d+\.\d+\nCNI 0\.1\.0, /
  for (const args of [['version'], ['--version']]) t.match(run(place, args), { status: 0, stdout: release })
  const misuses = [
    [], ['nope'], ['constructor'], ['add'], ['add', 'n'], ['add', 'n', 'a', 'b'], ['check', 'n'], ['status'],
    ['gc', '--al', 'n'], ['add', 'n', 'a', '-i'], ['del', '--all', 'n', 'a'], ['install'], ['list', 'x'],
    ['version', 'x'],
  ]
  for (const args of misuses) {
    t.match(run(place, args), { status: 2, stdout: '', stderr: /^fairlead: .+\n$/ }, `misuse: ${args.join(' ')}`)
  }
})

test('add prints the result, and errors are one line', async t => {
  using place = new StubPlugins()
  place.configure('n.conflist', { cniVersion: '1.1.0', name: 'n', plugins: [{ type: 'one' }, { type: 'two' }] })
  place.plugin('one', answering({ cniVersion: '1.1.0', ips: [] }))
  place.plugin('two', answering({ ips: [{ address: '10.0.0.2/24' }], cniVersion: '1.1.0' }))
  t.same(run(place, ['add', 'n', 'ns', '-i', 'net1'], { CNI_IFNAME: 'other', CNI_ARGS: 'A=b', CAP_ARGS: '{"x":1}' }), {
    status: 0, stderr: 'fairlead: nobody gets x of CAP_ARGS: no plugin of n says "capabilities": {"x": true}\n',
    stdout: '{\n    "cniVersion": "1.1.0",\n    "ips": [\n        {\n' +
      '            "address": "10.0.0.2/24"\n        }\n    ]\n}\n',
  })
  t.match(place.calls()[0]!.variables, {
    IFNAME: 'net1', NETNS: `${place.root}/ns`, ARGS: 'A=b', CONTAINERID: /^cnitool-[0-9a-f]{20}$/,
  })
  t.same(run(place, ['check', 'n', 'ns'], { CNI_IFNAME: 'net1' }), { status: 0, stdout: '', stderr: '' })
  t.equal(place.calls()[2]!.variables['IFNAME'], 'net1')
  t.same(run(place, ['status', 'n']), { status: 0, stdout: '', stderr: '' })
  place.plugin('two', failing('DEL', 106, 'something\n  remains', 'look there'))
  t.same(run(place, ['del', 'n', `${place.root}/ns`, '-i', 'net1']),
    { status: 1, stdout: '', stderr: 'fairlead: two: something remains (code 106): look there\n' })
  t.same(run(place, ['gc', 'n']).stderr.split('\n').length, 2, 'the attachment is still recorded, and gc fails at it')
  t.same(run(place, ['add', 'm', 'ns']), {
    status: 1, stdout: '', stderr: `fairlead: no network "m" in ${place.configurations}: it has n\n`,
  })
  const add = ['add', 'n', 'ns']
  t.match(run(place, add, { CAP_ARGS: 'x' }), { status: 1, stderr: /^fairlead: CAP_ARGS is no JSON.*\n$/ })
  t.match(run(place, add, { CNI_IFNAME: 'a/b' }), { status: 1, stderr: /^fairlead: CNI_IFNAME "a\/b" contains.*\n$/ })
})

test('without CNI_PATH plugins are beside the executable', async t => {
  using place = new StubPlugins()
  place.configure('n.conf', { cniVersion: '1.0.0', name: 'n', type: 'one' })
  place.plugin('one')
  t.match(run(place, ['add', 'n', '/no/ns'], { CNI_PATH: '' }), { status: 0 })
  t.equal(place.calls()[0]!.variables['PATH'], `${place.bin}:/opt/cni/bin`)
})

test('install and uninstall', async t => {
  using place = new StubPlugins()
  const directory = `${place.root}/target`
  mkdirSync(directory)
  t.match(run(place, ['install', directory]), { status: 1, stderr: /^fairlead: .*fairlead is no file: / })
  writeFileSync(`${place.bin}/fairlead`, 'the executable')
  writeFileSync(`${directory}/one`, 'foreign')
  const refusal = /^fairlead: .*target has one of other software: --replace/
  t.match(run(place, ['install', 'target']), { status: 1, stderr: refusal })
  t.same(run(place, ['install', 'target', '--replace']),
    { status: 0, stdout: `installed fairlead and 1 plugins in ${directory}\n`, stderr: '' })
  t.same(run(place, ['uninstall', 'target']),
    { status: 0, stdout: `removed 2 files of fairlead from ${directory}\nrestored one\n`, stderr: '' })
  const interpreter = ['install', directory, '--from', process.execPath]
  t.match(run(place, interpreter), { status: 2, stderr: /--from FILE/ }, 'an interpreter is no plugin')
  t.match(
    run(place, ['install', directory, '--from', '/bin/ls']),
    { status: 2, stderr: /\/bin\/ls is not the fairlead/ },
  )
  t.match(run(place, ['install', directory, '--from', '/nowhere']), { status: 2, stderr: /\/nowhere is not/ })
})
