// The values of the keys: JSON. What cannot be read belongs to nobody that we know, and is left alone.
import { isObject } from '#cni/json.ts'
import type { Entry } from './store/store.ts'

/** What other hosts need in order to reach a host. */
export interface HostFacts {
  /** What people call it. */
  readonly name?: string
  /** Addresses of the tunnel's end, by the family of the underlay. */
  readonly vtep4?: string
  readonly vtep6?: string
  readonly mac?: string
  readonly wireguardKey?: string
  readonly wireguardPort?: number
  /** Of the underlay. */
  readonly mtu?: number
  readonly version?: string
  /** Of the kernel that it runs on: another one after each start of the machine, and on a copy of it. */
  readonly boot?: string
  readonly networks?: readonly string[]
}

/** `token` tells machines apart that call themselves by the same name. */
export interface HostRecord extends HostFacts { readonly token: string }

/** A block of addresses and whose it is. The prefix is there for people. */
export interface BlockRecord { readonly host: string; readonly block: string }

/** An address of one container. `granted` by the host whose block it is cut from, if that is another host. */
export interface StaticRecord {
  readonly host: string
  readonly ip: string
  readonly container: string
  readonly ifname: string
  readonly granted: boolean
}

/** When a host was first found missing, in milliseconds since the epoch. */
export interface MissingRecord { readonly since: number }

const read = (entry: Entry | undefined): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(entry?.value ?? '')
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

/** Whose a block, or a static address, is; undefined when that cannot be read. */
export const ownerOf = (entry: Entry | undefined): string | undefined => {
  const { host } = read(entry)
  return typeof host === 'string' ? host : undefined
}

/** A record as its writers wrote it; a field that is not of its kind is theirs to explain. */
export const recordOf = <T>(entry: Entry | undefined): Partial<T> => read(entry) as Partial<T>

export const written = (record: object): string => JSON.stringify(record)
