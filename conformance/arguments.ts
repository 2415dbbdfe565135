// The command line of the runner.

import { realpathSync, statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { strictness } from './case.ts'
import type { Selection } from './plan.ts'
import { formats, type Format } from './report.ts'
import type { Extras } from './subject.ts'

export const usage = `node conformance/main.ts BIN_DIR [options], as root

  --area A,B              only these areas
  --case A01,B02          only these cases
  --plugins bridge,ptp    only these plugins
  --profile NAME          spec (MUST, SHOULD), defacto (+ DEF, CONV) or strict (+ QUAL, the default)
  --format FORMAT         tap (default), junit or json
  --known reference       failures listed in known/reference.ts do not fail the run
  --plugin-profiles FILE  JSON with profiles of plugins that the runner does not know
  --with DIR              another suite; networks change over between the two (M09)
  --driver FILE           a cnitool linked against the real libcni (M11)
  --long                  load of 5 rounds and 500 cycles of soak, instead of 1 and 50 (M07, M08)
  --jobs N                cases at a time, each in namespaces of its own (default 2)
`

export interface Options {
  readonly bin: string
  readonly selection: Selection
  readonly format: Format
  readonly known: string | undefined
  readonly profiles: string | undefined
  readonly extras: Extras
  readonly jobs: number
}

const listed = (text = ''): string[] => text.split(',').map(part => part.trim()).filter(Boolean)

const suiteDirectory = (path: string): string => {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${path}: no such directory`)
  const real = realpathSync(path)
  if (/^\/(run|var\/lib\/cni)(\/|$)/.test(real))
    throw new Error(`${real}: the runner hides /run and /var/lib/cni; copy the plugins elsewhere`)
  return real
}

/** Reads the arguments; throws an Error that says which one is wrong. */
export const parseOptions = (argv: readonly string[]): Options => {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      area: { type: 'string' },
      case: { type: 'string' },
      plugins: { type: 'string' },
      profile: { type: 'string', default: 'strict' },
      format: { type: 'string', default: 'tap' },
      known: { type: 'string' },
      'plugin-profiles': { type: 'string' },
      with: { type: 'string' },
      driver: { type: 'string' },
      long: { type: 'boolean', default: false },
      jobs: { type: 'string', default: '2' },
    },
  })
  const [directory, ...rest] = positionals
  if (!directory || rest.length > 0) throw new Error('exactly one directory of plugins is needed')
  if (!strictness[values.profile])
    throw new Error(`--profile ${values.profile}: use ${Object.keys(strictness).join(', ')}`)
  const format = formats.find(name => name === values.format)
  if (!format) throw new Error(`--format ${values.format}: use ${formats.join(', ')}`)
  const jobs = Number(values.jobs)
  if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs ${values.jobs}: use a number from 1 on`)
  const { with: other, driver, long } = values
  return {
    bin: suiteDirectory(directory),
    selection: {
      plugins: listed(values.plugins),
      areas: listed(values.area).map(area => area.toUpperCase()),
      ids: listed(values.case).map(id => id.toUpperCase()),
      strictness: values.profile,
    },
    format,
    known: values.known,
    profiles: values['plugin-profiles'],
    extras: {
      long,
      ...(other !== undefined && { other: suiteDirectory(other) }),
      ...(driver !== undefined && { driver: realpathSync(driver) }),
    },
    jobs,
  }
}
