// The `fairlead` command: which words it knows, and how it ends.
import { resolve } from 'node:path'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { asCniError } from '#cni/errors.ts'
import { attachedTable, listAttached } from './attachment-list.ts'
import { Installation } from './installation.ts'
import { Misuse } from './misuse.ts'
import { NetworkCommand } from './network-command.ts'
import { overlayOptions } from './overlay-options.ts'
import { PluginFailure } from './plugin-failure.ts'
import { processShell, type Shell } from './shell.ts'
import { release, usage } from './usage.ts'

const [DONE, FAILED, MISUSED] = [0, 1, 2]

type Options = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>

interface Context {
  readonly shell: Shell
  readonly plugins: readonly string[]
}

interface Command {
  /** Names of the operands; those in brackets may be left out. */
  readonly operands: readonly string[]
  readonly options?: NonNullable<ParseArgsConfig['options']>
  run(operands: readonly string[], options: Options, context: Context): void | Promise<void>
}

/** Whether a file is a fairlead executable of any version: another one would end every container's network. */
const saysFairlead = (file: string): boolean => {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { stdout } = spawnSync(file, ['version'], { argv0: 'fairlead', encoding: 'utf8', timeout: 10_000 })
  return stdout?.startsWith('fairlead ') ?? false
}

const install = ([directory = '']: readonly string[], options: Options, { shell, plugins }: Context): void => {
  const { from, replace } = options
  const source = typeof from === 'string' ? resolve(shell.directory, from) : shell.executable
  const isOurs = source === shell.executable ? !/\/(node|bun)$/.test(source) : saysFairlead(source)
  if (!isOurs) throw new Misuse(`${source} is not the fairlead executable: name it with --from FILE`)
  const target = resolve(shell.directory, directory)
  new Installation(target).install(source, plugins, replace === true)
  shell.print(`installed fairlead and ${plugins.length} plugins in ${target}\n`)
}

const uninstall = ([directory = '']: readonly string[], _: Options, { shell }: Context): void => {
  const target = resolve(shell.directory, directory)
  const { removed, restored } = new Installation(target).uninstall(shell.executable)
  shell.print(`removed ${removed.length + restored.length} files of fairlead from ${target}\n`)
  if (restored.length > 0) shell.print(`restored ${restored.join(', ')}\n`)
}

const list = (_: readonly string[], { json }: Options, { shell }: Context): void => {
  const attached = listAttached()
  shell.print(json === true ? `${JSON.stringify(attached, null, 2)}\n` : attachedTable(attached))
}

const ifName = ({ ifname }: Options): string | undefined => typeof ifname === 'string' ? ifname : undefined

/** What few commands need, and none of the plugins. */
const overlayCommands = async () => await import('./overlay-command.ts')

const onAttachment = (verb: 'add' | 'check' | 'del'): Command => ({
  operands: ['NETWORK', 'NETNS'],
  options: { ifname: { type: 'string', short: 'i' } },
  run: ([network = '', netns = ''], options, { shell }) =>
    new NetworkCommand(network, shell)[verb](netns, ifName(options)),
})

const commands: Readonly<Record<string, Command>> = {
  install: { operands: ['DIR'], options: { replace: { type: 'boolean' }, from: { type: 'string' } }, run: install },
  uninstall: { operands: ['DIR'], run: uninstall },
  add: onAttachment('add'),
  check: onAttachment('check'),
  del: onAttachment('del'),
  // cnitool demands a NETNS here, too, and an interface name means nothing.
  status: {
    operands: ['NETWORK', '[NETNS]'], options: { ifname: { type: 'string', short: 'i' } },
    run: ([network = ''], _, { shell }) => new NetworkCommand(network, shell).status(),
  },
  gc: {
    operands: ['NETWORK', '[NETNS]'], options: { ifname: { type: 'string', short: 'i' }, all: { type: 'boolean' } },
    run: ([network = ''], { all }, { shell }) => new NetworkCommand(network, shell).gc(all === true),
  },
  agent: {
    operands: [], options: overlayOptions.agent,
    run: async (_, options, { shell }) => (await overlayCommands()).agent(options, shell),
  },
  overlay: {
    operands: ['VERB', '[NETWORK]'], options: overlayOptions.overlay,
    run: async (words, options, { shell }) => (await overlayCommands()).overlay(words, options, shell),
  },
  host: {
    operands: ['VERB', '[HOST]'], options: overlayOptions.host,
    run: async (words, options, { shell }) => (await overlayCommands()).host(words, options, shell),
  },
  list: { operands: [], options: { json: { type: 'boolean' } }, run: list },
  version: { operands: [], run: (_operands, _options, { shell }) => shell.print(release) },
  help: { operands: ['[COMMAND]'], run: (_operands, _options, { shell }) => shell.print(usage) },
}

const aliases: Readonly<Record<string, string>> = { '--help': 'help', '-h': 'help', '--version': 'version' }

interface Parsed { readonly positionals: readonly string[]; readonly values: Options }

const parse = (name: string, command: Command, args: readonly string[]): Parsed => {
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const
  try {
    const { positionals, values } = parseArgs({ args: [...args], options, allowPositionals: true })
    return { positionals, values: values as Options }
  } catch (error) {
    throw new Misuse(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const dispatch = (args: readonly string[], context: Context): void | Promise<void> => {
  const [word = '', ...rest] = args
  const name = aliases[word] ?? word
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    const problem = word === '' ? 'no command' : `unknown command ${JSON.stringify(word)}`
    throw new Misuse(`${problem}: 'fairlead help' lists them`)
  }
  const { positionals, values } = parse(name, command, rest)
  if (values['help'] === true) return context.shell.print(usage)
  const required = command.operands.filter(operand => !operand.startsWith('['))
  if (positionals.length < required.length || positionals.length > command.operands.length) {
    throw new Misuse(`${name} takes ${command.operands.join(' ') || 'no operands'}: 'fairlead help' says more`)
  }
  return command.run(positionals, values, context)
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ')

const describe = (error: unknown): string => {
  const { message, code, details } = error instanceof PluginFailure ? error.cause : asCniError(error)
  const subject = error instanceof PluginFailure ? `${error.plugin}: ${message} (code ${code})` : message
  return oneLine(`fairlead: ${subject}${details && `: ${details}`}`)
}

/** Tells of a failure. @returns the exit status */
const statusOf = (error: unknown, shell: Shell): number => {
  if (error instanceof Misuse) {
    shell.complain(oneLine(`fairlead: ${error.message}`))
    return MISUSED
  }
  for (const failure of error instanceof AggregateError ? error.errors : [error]) shell.complain(describe(failure))
  return FAILED
}

export interface CommandSurroundings {
  /** The names of the plugins in the executable: what `install` makes links for. */
  readonly plugins: readonly string[]
  /** This process unless given. */
  readonly shell?: Shell
}

/**
 * Runs one command. Failures are told on stderr, one line each.
 * @param args the words behind `fairlead`
 * @returns the exit status: 0, 1 when it failed, 2 when the command line makes no sense; later for what takes longer
 */
export const runCommand = (args: readonly string[], around: CommandSurroundings): number | Promise<number> => {
  const { plugins, shell = processShell() } = around
  try {
    const ended = dispatch(args, { shell, plugins })
    return ended === undefined ? DONE : ended.then(() => DONE, error => statusOf(error, shell))
  } catch (error) {
    return statusOf(error, shell)
  }
}
