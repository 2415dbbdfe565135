// What a plugin is, and what each verb is given. A driver is a straight line: look up, refuse early, create, `undo` on
// the next line, lease, `undo` on the next line, configure, return the result.
import type { Attachment } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import type { Ipam } from './ipam.ts'
import type { Json } from './json.ts'
import type { Result } from './result.ts'
import type { FromSchema, Schema, Validate } from './schema.ts'

/** What every verb is given. */
export interface Call<Config> {
  readonly config: Config
  /** The configuration as it was sent, for keys whose shape a schema cannot say. */
  readonly raw: Json
  /** Its very bytes, for what decoding hides. */
  readonly text: Uint8Array
  readonly cniVersion: string
  /** Name of the network. */
  readonly network: string
  /** The namespace that the plugin was started in; opened on first use. */
  readonly host: Namespace
  /** The IPAM plugin that the configuration names; every call of it is a no-op when it names none. */
  readonly ipam: Ipam
  /**
   * The IPAM plugin of an `ipam` object that takes the place of the configuration's: for drivers that decide
   * themselves which addresses there are. Nothing is handed on to it unasked.
   */
  delegate(ipam: Json): Ipam
  /** Tells the operator something, on stderr. */
  warn(message: string): void
}

interface AttachmentCall<Config> extends Call<Config>, Attachment {
  readonly attachment: Attachment
  /** CNI_NETNS to the letter; empty when DEL was given none. */
  readonly netns: string
  /** Values of CNI_ARGS, of the keys in `Driver.args`. */
  readonly args: ReadonlyMap<string, string>
}

export interface Add<Config> extends AttachmentCall<Config> {
  /** The container's namespace; opened on first use. */
  readonly pod: Namespace
  /** What the plugins before this one in the chain have made. */
  readonly previous: Result | undefined
  /** Registers how to take back what has just been done, should something fail later. */
  undo(what: string, step: () => void): void
}

export interface Check<Config> extends AttachmentCall<Config> {
  readonly pod: Namespace
  /** The result of the whole chain. */
  readonly previous: Result | undefined
}

export interface Del<Config> extends AttachmentCall<Partial<Config>> {
  /** Undefined when the namespace is gone or was not named. */
  readonly pod: Namespace | undefined
  readonly previous: Result | undefined
  /** Runs one step; a failure is told at the end and stops nothing. */
  attempt(step: () => void): void
}

export interface Gc<Config> extends Call<Partial<Config>> {
  /** The attachments of this network that live; everything else of it is to go. */
  readonly valid: readonly Attachment[]
  attempt(step: () => void): void
}

export interface Driver<S extends Schema = Schema> {
  readonly name: string
  /** Makes an interface in the container's namespace, works on what others have made, or hands out addresses. */
  readonly kind: 'interface' | 'chained' | 'ipam'
  readonly schema: S
  /** Generated from `schema` by the build. */
  readonly validate: Validate
  /** Keys of CNI_ARGS that the plugin reads; a plugin without this key ignores the variable. */
  readonly args?: readonly string[]
  /** CNI_NETNS may be the plugin's own namespace without CNI_NETNS_OVERRIDE; the driver says what it has to be. */
  readonly sharesHost?: true
  add(call: Add<FromSchema<S>>): Result
  check(call: Check<FromSchema<S>>): void
  del(call: Del<FromSchema<S>>): void
  status(call: Call<FromSchema<S>>): void
  gc(call: Gc<FromSchema<S>>): void
}

/** A driver as the run loop sees it, whatever its configuration. */
export type AnyDriver = Omit<Driver, 'add' | 'check' | 'del' | 'status' | 'gc'> & {
  add(call: never): Result
  check(call: never): void
  del(call: never): void
  status(call: never): void
  gc(call: never): void
}

/** States a driver; its configuration's type follows from the schema. */
export const driver = <const S extends Schema>(definition: Driver<S>): Driver<S> => definition
