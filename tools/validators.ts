// Compiles every plugin's configuration schema to plain code, build/validators/FOLDER.js: compiling at run time would
// cost five starts. The files are input of the type check, of the tests and of the executable. The schemas themselves
// go to build/schemas/FOLDER.json, for editors.
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { Ajv } from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'
import type { Schema } from '#cni/schema.ts'

const directory = 'build/validators'
const declaration = `import type { Validate } from '#cni/schema.ts'\nexport declare const validate: Validate\n`

/** Descriptions are for people; in the executable they would only be read past. */
const withoutDescriptions = (schema: Schema): Schema =>
  JSON.parse(JSON.stringify(schema, (key, value) =>
    key === 'description' && typeof value === 'string' ? undefined : value))

const compile = (name: string, schema: Schema): string => {
  const ajv = new Ajv({ useDefaults: true, strict: true, code: { source: true, esm: true } })
  const code = standalone.default(ajv, ajv.compile({ $id: name, ...withoutDescriptions(schema) }))
  // https://github.com/ajv-validator/ajv/issues/2209: such code would load ajv at run time.
  if (code.includes('require(')) {
    throw new Error(
      `${name}: a keyword's validator needs ajv at run time (minLength, maxLength, uniqueItems, format): use pattern`,
    )
  }
  return code
}

rmSync(directory, { recursive: true, force: true })
rmSync('build/schemas', { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
mkdirSync('build/schemas', { recursive: true })
for (const file of globSync('plugins/*/config.ts')) {
  const name = basename(dirname(file))
  const { schema }: { schema: Schema } = await import(`#plugins/${name}/config.ts`)
  writeFileSync(`${directory}/${name}.js`, compile(name, schema))
  writeFileSync(`${directory}/${name}.d.ts`, declaration)
  const published = { $schema: 'http://json-schema.org/draft-07/schema#', title: name, ...schema }
  writeFileSync(`build/schemas/${name}.json`, `${JSON.stringify(published, undefined, 2)}\n`)
}
