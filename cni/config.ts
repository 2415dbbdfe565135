// A network configuration as one plugin sees it: SPEC.md, section 2, "Plugin configuration".
import { invalidConfig, CniError } from './errors.ts'
import { isObject, lookUp, parseObject, type Json } from './json.ts'
import { admit, type Schema, type Validate, type Violation } from './schema.ts'
import { atLeast, isName, oldest, since, versions, type Verb } from './spec.ts'

const MAX_NAME_BYTES = 255 // NAME_MAX: names become parts of paths

/** What every plugin's configuration carries. `raw` is the whole object as it was sent. */
export interface NetworkConfig {
  readonly raw: Json
  readonly cniVersion: string
  readonly name: string
}

/**
 * Decodes a configuration and checks what is common to all plugins: name, cniVersion, and that the verb exists in it.
 * @param supported versions that this plugin speaks
 * @throws CniError 6, 7 or 1
 */
export const decodeConfig = (bytes: Uint8Array, verb: Verb, supported: readonly string[] = versions): NetworkConfig => {
  const raw = parseObject(bytes, 'the network configuration')
  const name = lookUp(raw, 'name') ?? ''
  if (typeof name !== 'string') throw new CniError('decodingFailure', `name ${JSON.stringify(name)} is no string`)
  if (name === '') throw invalidConfig('missing network name', 'give the network a "name"')
  if (!isName(name)) throw invalidConfig(`name ${JSON.stringify(name)} has a character that is not allowed`, name)
  if (name.length > MAX_NAME_BYTES) throw invalidConfig(`name is longer than ${MAX_NAME_BYTES} bytes`, name)

  const cniVersion = lookUp(raw, 'cniVersion') ?? ''
  if (typeof cniVersion !== 'string') {
    throw new CniError('decodingFailure', `cniVersion ${JSON.stringify(cniVersion)} is no string`)
  }
  const version = cniVersion || oldest
  if (!supported.includes(version)) {
    const details = `config is ${JSON.stringify(version)}, plugin supports ${JSON.stringify(supported)}`
    throw new CniError('incompatibleVersion', `cniVersion ${JSON.stringify(version)} is not supported`, details)
  }
  if (!atLeast(version, since[verb])) {
    throw new CniError(
      'incompatibleVersion',
      `cniVersion ${version} does not allow ${verb}`,
      `${verb} exists since ${since[verb]}`,
    )
  }
  return { raw, cniVersion: version, name }
}

/** What stands at a JSON pointer of ajv's. */
const valueAt = (data: unknown, pointer: string): unknown =>
  pointer.split('/').slice(1)
    .reduce((value, key) => isObject(value) || Array.isArray(value) ? (value as Json)[key] : undefined, data)

/** The schema of what stands at a JSON pointer. */
const schemaAt = (schema: Schema, pointer: string): Schema | undefined =>
  pointer.split('/').slice(1).reduce<Schema | undefined>((part, key) => part?.items ?? part?.properties?.[key], schema)

/** `/ranges/0/subnet` as people write it: `ranges[0].subnet`. */
const keyAt = (pointer: string): string => pointer.slice(1).replace(/\/(\d+)(?=\/|$)/g, '[$1]').replaceAll('/', '.')

const describe = (
  schema: Schema, { instancePath, message = 'is not valid', params }: Violation, data: unknown,
): CniError => {
  const key = keyAt(instancePath)
  if (params?.missingProperty !== undefined) {
    const missing = `${key === '' ? '' : `${key}.`}${params.missingProperty}`
    const meaning = schemaAt(schema, `${instancePath}/${params.missingProperty}`)?.description
    return invalidConfig(`${missing} is missing`, meaning)
  }
  const allowed = params?.allowedValues ? `: ${params.allowedValues.join(', ')}` : ''
  const problem = message.startsWith('must match pattern') ? 'has a form that is not allowed' : message
  const meaning = schemaAt(schema, instancePath)?.description
  const value = JSON.stringify(valueAt(data, instancePath))
  return invalidConfig(`${key} ${value} ${problem}${allowed}`, meaning && `${key}: ${meaning}`)
}

/**
 * Judges a configuration by a plugin's schema and fills in its defaults.
 * @throws CniError with code 7 that names the first wrong key and its value
 */
export const validated = (schema: Schema, validate: Validate, raw: Json): unknown => {
  const data = admit(schema, raw)
  if (!validate(data)) throw describe(schema, validate.errors![0]!, data)
  return data
}

/**
 * The same for DEL and GC, which have to clean up under a configuration that has become wrong: what does not fit is
 * left out.
 * @param warn is told what was left out
 */
export const salvaged = (schema: Schema, validate: Validate, raw: Json, warn: (message: string) => void): unknown => {
  const rest: Record<string, unknown> = { ...raw }
  for (;;) {
    const data = admit(schema, rest)
    if (validate(data)) return data
    const violation = validate.errors![0]!
    warn(`goes on without ${describe(schema, violation, data).message}`)
    const key = violation.instancePath.split('/')[1]?.toLowerCase()
    const found = Object.keys(rest).filter(name => name.toLowerCase() === key)
    if (found.length === 0) return data // a required key is missing: the driver has to live without it
    for (const name of found) delete rest[name]
  }
}
