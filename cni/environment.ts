// The environment of an invocation: SPEC.md, section 2, "Parameters".
import { CniError } from './errors.ts'
import { isName, type Verb } from './spec.ts'

export type Variables = Readonly<Record<string, string | undefined>>

/** The CNI_* variables, checked. What a verb does not need may be empty. */
export interface Environment {
  readonly verb: Verb
  readonly containerId: string
  readonly netns: string
  readonly ifName: string
  readonly args: string
  /** Directories of CNI_PATH, without empty elements: they would mean the working directory. */
  readonly path: readonly string[]
  /** CNI_NETNS may be the plugin's own namespace: CNI_NETNS_OVERRIDE of libcni's skeleton. */
  readonly netnsOverride: boolean
}

const required: Readonly<Record<Verb, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  STATUS: [],
  GC: ['CNI_PATH'],
}

const isVerb = (text: string): text is Verb => Object.hasOwn(required, text)

const MAX_IFNAME_BYTES = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

/** Go's unicode.IsSpace, which the skeleton refuses in names; not JavaScript's \s. */
const space = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/

/** What is wrong with an interface name, or undefined. */
const ifNameProblem = (name: string, verb: Verb): string | undefined => {
  if (new TextEncoder().encode(name).length > MAX_IFNAME_BYTES) return `is longer than ${MAX_IFNAME_BYTES} bytes`
  if (name === '.' || name === '..') return 'is a directory name'
  if (/[/:]/.test(name)) return 'contains / or :'
  if (verb === 'ADD' && name.includes('%')) return 'contains %, which the kernel would expand'
  return space.test(name) ? 'contains white space' : undefined
}

const invalid = (message: string, details: string): CniError => new CniError('invalidEnvironment', message, details)

/**
 * Reads and checks the variables that `CNI_COMMAND` needs.
 * @throws CniError with code 4 that names the variables
 */
export const readEnvironment = (variables: Variables): Environment => {
  const get = (name: string): string => variables[name] ?? ''
  const verb = get('CNI_COMMAND')
  // libcni recognises this very text of a plugin that is older than VERSION.
  if (!isVerb(verb)) {
    throw invalid(`unknown CNI_COMMAND: ${verb}`, 'it is one of ADD, DEL, CHECK, STATUS, GC and VERSION')
  }

  const missing = required[verb].filter(name => get(name) === '')
  if (missing.length > 0) {
    throw invalid(`required env variables [${missing.join(',')}] missing`, `${verb} needs ${required[verb].join(', ')}`)
  }

  const [containerId, ifName] = [get('CNI_CONTAINERID'), get('CNI_IFNAME')]
  if (required[verb].includes('CNI_CONTAINERID')) {
    if (!isName(containerId)) {
      throw invalid(`CNI_CONTAINERID ${JSON.stringify(containerId)} has a character that is not allowed`, containerId)
    }
    const problem = ifNameProblem(ifName, verb)
    if (problem) throw invalid(`CNI_IFNAME ${JSON.stringify(ifName)} ${problem}`, ifName)
  }
  return {
    verb, containerId, ifName,
    netns: get('CNI_NETNS'),
    args: get('CNI_ARGS'),
    path: get('CNI_PATH').split(':').filter(directory => directory !== ''),
    netnsOverride: /^(1|true)$/i.test(get('CNI_NETNS_OVERRIDE')),
  }
}
