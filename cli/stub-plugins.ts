// For tests: a directory of shell scripts in the place of plugins. Each records how it was called.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isObject, parseObject, type Json } from '#cni/json.ts'

/** One call of a stub: its name, the CNI_* variables without the prefix, and stdin. */
export interface StubCall {
  readonly plugin: string
  readonly variables: Readonly<Record<string, string>>
  readonly stdin: string
}

/** A private place with a directory of plugins, one of configurations, and one for the cache. Disposing removes it. */
export class StubPlugins implements Disposable {
  readonly root: string
  readonly bin: string
  readonly configurations: string
  readonly state: string

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'fairlead-cli-'))
    this.bin = join(this.root, 'bin')
    this.configurations = join(this.root, 'net.d')
    this.state = join(this.root, 'state')
    for (const directory of [this.bin, this.configurations, join(this.root, 'calls')]) mkdirSync(directory)
  }

  /** Writes a plugin. @param script shell commands, by default ones that succeed and, on ADD, print a result */
  plugin(name: string, script = answering({ cniVersion: '1.0.0' })): void {
    const calls = join(this.root, 'calls')
    writeFileSync(join(this.bin, name), `#!/bin/sh
n=$(ls ${calls} | grep -c stdin); n=$(printf %03d $n)
cat > ${calls}/$n.stdin
env | grep ^CNI_ > ${calls}/$n.env
echo ${name} > ${calls}/$n.name
${script}
`)
    chmodSync(join(this.bin, name), 0o755)
  }

  /** Writes a configuration file. */
  configure(file: string, content: unknown): void {
    const path = join(this.configurations, file)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  }

  /** Every call so far, in order. */
  calls(): StubCall[] {
    const calls: StubCall[] = []
    for (;;) {
      const base = join(this.root, 'calls', String(calls.length).padStart(3, '0'))
      try {
        const lines = readFileSync(`${base}.env`, 'utf8').trim().split('\n')
        const pairs = lines.map(line => line.slice('CNI_'.length).split(/=(.*)/s))
        calls.push({
          plugin: readFileSync(`${base}.name`, 'utf8').trim(),
          variables: Object.fromEntries(pairs.map(([key = '', value = '']) => [key, value])),
          stdin: readFileSync(`${base}.stdin`, 'utf8'),
        })
      } catch {
        return calls
      }
    }
  }

  /** Verb and plugin of each call: `ADD one`. */
  order(): string[] { return this.calls().map(({ variables, plugin }) => `${variables['COMMAND']} ${plugin}`) }

  [Symbol.dispose](): void { rmSync(this.root, { recursive: true, force: true }) }
}

/** A script that prints a result on ADD. */
export const answering = (result: Json): string => `[ "$CNI_COMMAND" != ADD ] || printf %s '${JSON.stringify(result)}'`

/** A script that fails on one verb. */
export const failing = (verb: string, code: number, msg: string, details = ''): string =>
  `if [ "$CNI_COMMAND" = ${verb} ]; then printf %s '${JSON.stringify({ code, msg, details })}'; exit 1; fi
${answering({ cniVersion: '1.0.0' })}`

/** A request as an object. */
export const decoded = ({ stdin }: StubCall): Json => parseObject(Buffer.from(stdin), 'stdin')

/** A key of an object in a request. */
export const within = (value: unknown, key: string): unknown => isObject(value) ? value[key] : undefined
