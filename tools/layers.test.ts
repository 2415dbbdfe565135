// The architecture, as a test: imports point down, and every file keeps to the house's few rules.
import { globSync, readFileSync } from 'node:fs'
import { test } from 'tap'

const stack = ['sys', 'netlink', 'net', 'cni', 'plugins'] as const
// Beside the stack: may import all of it, and nothing imports them.
const beside = ['cli', 'tools']
// They look from outside: the conformance runner shares nothing with what it judges.
const outside = { conformance: ['conformance'], bench: ['bench', 'system', 'tools'], system: ['system', 'tools'] }

const may: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(stack.map((layer, height) => [layer, stack.slice(0, height + 1)])),
  // What stays when a plugin's call is over. Only the command starts it.
  agent: [...stack, 'agent'],
  ...Object.fromEntries(beside.map(folder => [folder, [...stack, ...beside]])),
  cli: [...stack, 'agent', ...beside],
  ...outside,
}
const folders = Object.keys(may)
const files = globSync(`{${folders.join()}}/**/*.ts`).filter(file => !file.includes('node_modules'))
const sources = files.filter(file => !file.endsWith('.test.ts'))

const importsOf = (file: string): readonly string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|require\(|import\() ?'([^']+)'/g)].map(([, target]) => target!)

/** The folder of ours that an import leads to, undefined for packages and for the file's own folder. */
const folderOf = (file: string, target: string): string | undefined => {
  if (target.startsWith('#')) return target.slice(1).split('/')[0]
  if (!target.startsWith('.')) return undefined
  return new URL(target, `file:///${file}`).pathname.split('/')[1]
}

test('imports point down', async t => {
  const wrong = sources.flatMap(file => {
    const allowed = ['build', 'package.json', ...may[file.split('/')[0]!]!]
    return importsOf(file).filter(target => !allowed.includes(folderOf(file, target) ?? 'build'))
      .map(target => `${file} imports ${target}`)
  })
  t.same(wrong, [])
})

test('no plugin imports another', async t => {
  const inFolders = sources.filter(file => /^plugins\/[^/]+\//.test(file))
  const isOutside = (target: string): boolean => target.startsWith('#plugins/') || target.startsWith('../')
  const wrong = inFolders.filter(file => importsOf(file).some(isOutside))
  t.same(wrong, [])
})

test('bun: and node:ffi appear in one file', async t => {
  const loaders = sources.filter(file => stack.some(layer => file.startsWith(`${layer}/`)))
    .filter(file => /'(?:bun:\w+|node:ffi)'/.test(readFileSync(file, 'utf8')))
  t.same(loaders, ['sys/libc.ts'])
})

test('no default exports, no enums', async t => {
  t.same(sources.filter(file => /^export default|^(?:export )?(?:const )?enum /m.test(readFileSync(file, 'utf8'))), [])
})

test('no file is longer than 250 lines', async t => {
  t.same(sources.filter(file => readFileSync(file, 'utf8').trimEnd().split('\n').length > 250), [])
})

test('no line is longer than 120 columns', async t => {
  const wrong = files.flatMap(file => readFileSync(file, 'utf8').split('\n')
    .flatMap((line, i) => line.length > 120 ? [`${file}:${i + 1}`] : []))
  t.same(wrong, [])
})
