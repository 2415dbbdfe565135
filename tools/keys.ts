// Writes the table of keys in each plugin's README, between its markers, from the plugin's schema.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Schema } from '#cni/schema.ts'

interface Row { readonly key: string; readonly schema: Schema }

/** Every key with its path, `ipam.ranges[][].subnet`. */
const rows = (schema: Schema, path = ''): Row[] => {
  if (schema.items) return rows(schema.items, `${path}[]`)
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const key = path === '' ? name : `${path}.${name}`
    return [{ key, schema: property }, ...rows(property, key)]
  })
}

const typeOf = ({ type, enum: choices, minimum, maximum, items }: Schema): string => {
  if (choices) return choices.map(choice => `\`${choice}\``).join(', ')
  if (type === 'array') return `list of ${items?.type ?? 'anything'}s`
  if (type !== 'integer' || minimum === undefined) return type ?? 'anything'
  return maximum === undefined ? `integer from ${minimum}` : `integer ${minimum} to ${maximum}`
}

const line = ({ key, schema }: Row): string => {
  const standard = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default).replaceAll('"', '')}\``
  return `| \`${key}\` | ${typeOf(schema)} | ${standard} | ${schema.description ?? ''} |`
}

const table = (schema: Schema): string => {
  const described = rows(schema).filter(row => row.schema.description !== undefined)
  return described.length === 0
    ? 'None.'
    : ['| key | type | default | meaning |', '|---|---|---|---|', ...described.map(line)].join('\n')
}

const marked = /(<!-- keys -->\n)[\s\S]*?(<!-- \/keys -->)/

/** A README with its table of keys brought up to date; one without markers as it is. */
export const withKeys = (readme: string, schema: Schema): string =>
  readme.replace(marked, (_, open: string, close: string) => `${open}${table(schema)}\n${close}`)

interface Readme { readonly file: string; readonly text: string; readonly wanted: string }

/** Every plugin's README with what it should say. */
export const readmes = async (): Promise<readonly Readme[]> =>
  Promise.all(globSync('plugins/*/config.ts').map(async config => {
    const folder = dirname(config)
    const { schema }: { schema: Schema } = await import(`#plugins/${basename(folder)}/config.ts`)
    const file = `${folder}/README.md`
    const text = readFileSync(file, 'utf8')
    return { file, text, wanted: withKeys(text, schema) }
  }))

if (import.meta.main) for (const { file, wanted } of await readmes()) writeFileSync(file, wanted)
