// Plugins that the judge puts on CNI_PATH: shell scripts that record how they were called and answer from a script.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject } from './json.ts'
import { resultIn, type Result } from './result.ts'
import { versions } from './versions.ts'

/**
 * Shell commands by verb; `else` answers the verbs that are not named. Missing: exit 0, print nothing.
 * VERSION answers with every version unless it is scripted.
 */
export type Script = Readonly<Record<string, string>>

export interface Recorded {
  readonly verb: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: Buffer
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Prints a text as it is. */
export const prints = (text: string): string => `printf %s ${quote(text)}`
/** Prints a text on stderr. */
export const complains = (text: string): string => `printf '%s\\n' ${quote(text)} >&2`
/** Fails with an error object. */
export const fails = (error: JsonObject, status = 1): string => `${prints(JSON.stringify(error))}; exit ${status}`
export const sleeps = (seconds: number): string => `sleep ${seconds}`

/** Prints a result in the version of the configuration; `$n` in it is the number of the lease that leases() took. */
export const answers = (result: Result): string => {
  const heredoc = (document: JsonObject): string => `cat <<END\n${JSON.stringify(document)}\nEND\n;;`
  const branches = versions.map(version => `${version}) ${heredoc(resultIn(version, result))}`)
  const { cniVersion, ...unversioned } = resultIn('0.2.0', result)
  return ['case $version in', ...branches, `*) ${heredoc(unversioned)}`, 'esac'].join('\n')
}

/** Takes a lease for the attachment: a file in the leases directory that the world's snapshots watch. */
export const leases = (directory: string, prefix: string): string => `
n=2
until (set -C; echo "$CNI_CONTAINERID $CNI_IFNAME" > ${directory}/${prefix}$n) 2>/dev/null; do n=$((n+1)); done
`

/** Gives the attachment's leases back. */
export const releases = (directory: string): string => `
for lease in ${directory}/*; do
  owner=; read -r owner 2>/dev/null < "$lease"
  [ "$owner" = "$CNI_CONTAINERID $CNI_IFNAME" ] && rm -f "$lease"
done
true`

export class Stub {
  readonly name: string
  readonly #record: string

  /** Writes the executable `name` into `directory`; `record` is a directory of its own. */
  constructor(directory: string, record: string, name: string, script: Script) {
    this.name = name
    this.#record = record
    mkdirSync(record, { recursive: true })
    const found = versions.map(version => `*ersion?:?${version}?*|*ERSION?:?${version}?*) version=${version};;`)
    const supported = prints(JSON.stringify({ cniVersion: versions.at(-1), supportedVersions: versions }))
    const branches = Object.entries({ VERSION: supported, ...script })
      .map(([verb, step]) => `${verb === 'else' ? '*' : verb})\n${step}\n;;`)
    const text = [
      '#!/bin/sh',
      `request=$(tee ${record}/$$.stdin)`,
      `cat /proc/$$/environ > ${record}/$$.env`,
      `echo $$ >> ${record}/order`,
      'case $request in', ...found.map(line => line.replaceAll('?', '\\"')), '*) version=;;', 'esac',
      'case $CNI_COMMAND in', ...branches, 'esac', '',
    ].join('\n')
    writeFileSync(join(directory, name), text)
    chmodSync(join(directory, name), 0o755)
  }

  /** The calls so far, in the order in which they began. */
  calls(): Recorded[] {
    if (!existsSync(join(this.#record, 'order'))) return []
    return readFileSync(join(this.#record, 'order'), 'utf8').split('\n').filter(Boolean).map(id => {
      const pairs = readFileSync(join(this.#record, `${id}.env`), 'utf8').split('\0').filter(Boolean)
      const env = Object.fromEntries(pairs.map(pair => pair.split(/=(.*)/s, 2) as [string, string]))
      return { verb: env['CNI_COMMAND'] ?? '', env, stdin: readFileSync(join(this.#record, `${id}.stdin`)) }
    })
  }

  verbs(): string[] {
    return this.calls().map(call => call.verb)
  }
}
