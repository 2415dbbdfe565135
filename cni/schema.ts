// A plugin's configuration is written once, as a JSON Schema literal: type, validator and documentation come from it.
import { isObject } from './json.ts'

type Primitive = { string: string; integer: number; boolean: boolean; object: object; array: readonly unknown[] }

/**
 * The keywords in use: those whose generated validator needs no library at run time (tools/validators.ts refuses
 * others).
 */
export interface Schema {
  readonly type?: keyof Primitive
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly default?: string | number | boolean
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly description?: string
}

type Present<P, R> = { [K in keyof P]: K extends R ? K : P[K] extends { default: unknown } ? K : never }[keyof P]
type Flat<T> = { [K in keyof T]: T[K] } & {}
type Required<S> = S extends { required: readonly (infer R)[] } ? R : never

/** The type of what a schema admits. A property is present when it is required or has a default, which is filled in. */
export type FromSchema<S> =
  S extends { enum: readonly (infer E)[] } ? E
  : S extends { type: 'array'; items: infer I } ? readonly FromSchema<I>[]
  : S extends { type: 'object'; properties: infer P } ? Flat<
    { readonly [K in Present<P, Required<S>>]: FromSchema<P[K]> } &
    { readonly [K in Exclude<keyof P, Present<P, Required<S>>>]?: FromSchema<P[K]> | undefined }>
  : S extends { type: infer T extends keyof Primitive } ? Primitive[T] : unknown

/** A generated validator: fills in defaults, and after a refusal says why in `errors`. */
export interface Validate {
  (data: unknown): boolean
  errors?: readonly Violation[] | null
}
export interface Violation {
  readonly instancePath: string
  readonly message?: string
  readonly params?: { readonly allowedValues?: readonly unknown[]; readonly missingProperty?: string }
}

const isText = (schema: Schema): boolean => schema.type === 'string' || schema.enum !== undefined

/**
 * What of a decoded value a schema speaks of, as Go's decoder would see it: keys under the schema's spelling whatever
 * their case, without the zero values `null` and `""`. Types are left for the validator to judge.
 */
export const admit = (schema: Schema, value: unknown): unknown => {
  if (schema.items !== undefined && Array.isArray(value)) return value.map(item => admit(schema.items!, item))
  const { properties } = schema
  if (properties === undefined || !isObject(value)) return value
  const spelling = new Map(Object.keys(properties).map(name => [name.toLowerCase(), name]))
  const admitted: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    const exact = Object.hasOwn(properties, key)
    const name = exact ? key : spelling.get(key.toLowerCase())
    if (name === undefined || (!exact && Object.hasOwn(value, name))) continue
    if (item === null || (item === '' && isText(properties[name]!))) continue
    admitted[name] = admit(properties[name]!, item)
  }
  return admitted
}
