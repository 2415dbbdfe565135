// The only file that loads libc: through bun:ffi in the executables, through node:ffi under Node 26.
// What node:fs can do is not here: libuv reports errors exactly, while errno has to be fetched by a second call.
import { errnoName } from './errno.ts'

type Width = 'i32' | 'u32' | 'u64' | 'ptr'
type Signature = readonly [parameters: readonly Width[], result: 'i32' | 'ptr']
type Call = (...args: (number | bigint | Uint8Array)[]) => number
interface Library { readonly calls: Record<string, Call>; errno(): number }

const signatures: Record<string, Signature> = {
  socket: [['i32', 'i32', 'i32'], 'i32'],
  setsockopt: [['i32', 'i32', 'i32', 'ptr', 'u32'], 'i32'],
  setns: [['i32', 'i32'], 'i32'],
  unshare: [['i32'], 'i32'],
  flock: [['i32', 'i32'], 'i32'],
  __errno_location: [[], 'ptr'],
}

const loadBun = (): Library => {
  const { dlopen, read } = require('bun:ffi')
  const table = Object.fromEntries(Object.entries(signatures).map(([name, [args, returns]]) => [name, { args, returns }]))
  const calls: Record<string, Call> = dlopen('libc.so.6', table).symbols
  return { calls, errno: () => read.i32(calls['__errno_location']!(), 0) }
}

const loadNode = (): Library => {
  const { dlopen, getInt32 } = process.getBuiltinModule('node:ffi')
  const long = { i32: 'int32', u32: 'uint32', u64: 'uint64', ptr: 'pointer' } as const
  const table = Object.fromEntries(Object.entries(signatures).map(([name, [args, returns]]) =>
    [name, { arguments: args.map(width => long[width]), return: long[returns] }]))
  const { functions } = dlopen(null, table)
  const calls = functions as unknown as Record<string, Call>
  return { calls, errno: () => getInt32(calls['__errno_location']!() as unknown as bigint) }
}

let library: Library | undefined
// Loaded on the first call: VERSION and most of IPAM need none of it.
const libc = (): Library => library ??= process.versions['bun'] ? loadBun() : loadNode()

/** A system call failed. `call` is its name, `code` the errno name. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  readonly call: string
  readonly code: string
  constructor(call: string, errno: number) {
    super(`${call}: ${errnoName(errno)}`)
    this.call = call
    this.code = errnoName(errno)
  }
}

const invoke = (name: string, ...args: (number | bigint | Uint8Array)[]): number => {
  const { calls, errno } = libc()
  const result = calls[name]!(...args)
  // No JavaScript that enters the runtime may stand between the call and this line, or errno is another's.
  if (result < 0) throw new SyscallError(name, errno())
  return result
}

/** socket(2). Returns the file descriptor; close it with `close` of sys/file.ts. @throws SyscallError */
export const socket = (family: number, type: number, protocol: number): number => invoke('socket', family, type, protocol)

/** setsockopt(2) with an int value. @throws SyscallError */
export const setsockopt = (fd: number, level: number, name: number, value: number): void => {
  invoke('setsockopt', fd, level, name, new Uint8Array(new Int32Array([value]).buffer), 4)
}

const CLONE_NEWNET = 0x40000000

/** Moves the calling thread into the network namespace behind `fd`: setns(2). @throws SyscallError */
export const enterNetns = (fd: number): void => { invoke('setns', fd, CLONE_NEWNET) }

/** Moves the calling thread into a network namespace of its own: unshare(2). @throws SyscallError */
export const newNetns = (): void => { invoke('unshare', CLONE_NEWNET) }

const LOCK_EX = 2

/** Takes the exclusive flock(2) of an open file, waiting for it. Closing the file gives it back. @throws SyscallError */
export const lockExclusive = (fd: number): void => { invoke('flock', fd, LOCK_EX) }
