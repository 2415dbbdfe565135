// The only file that loads libc: through bun:ffi in the executables, through node:ffi under Node 26. Files are read and
// written through it too, because loading node:fs would cost each start a quarter of what a bare one takes.
import { errnoName } from './errno.ts'

type Width = 'i32' | 'u32' | 'u64' | 'ptr'
type Signature = readonly [parameters: readonly Width[], result: 'i32' | 'ptr']
type Argument = number | bigint | Uint8Array
type Call = (...args: Argument[]) => number
interface Library { readonly calls: Readonly<Record<string, Call>>; errno(): number }

const location: Signature = [[], 'ptr']

// Loaded together, at the first use of one of them: what an invocation does not need it does not pay for. The last
// parameters of open(2) and ioctl(2) are variadic ones, which Linux passes like any other on x86-64 and arm64.
const groups: readonly Readonly<Record<string, Signature>>[] = [
  {
    open: [['ptr', 'i32', 'u32'], 'i32'], read: [['i32', 'ptr', 'u64'], 'i32'], write: [['i32', 'ptr', 'u64'], 'i32'],
    close: [['i32'], 'i32'], statx: [['i32', 'ptr', 'i32', 'u32', 'ptr'], 'i32'], __errno_location: location,
  },
  {
    socket: [['i32', 'i32', 'i32'], 'i32'], setsockopt: [['i32', 'i32', 'i32', 'ptr', 'u32'], 'i32'],
    setns: [['i32', 'i32'], 'i32'], __errno_location: location,
  },
  {
    flock: [['i32', 'i32'], 'i32'], unlink: [['ptr'], 'i32'], utimensat: [['i32', 'ptr', 'ptr', 'i32'], 'i32'],
    __errno_location: location,
  },
  { poll: [['ptr', 'u64', 'i32'], 'i32'], __errno_location: location },
  { unshare: [['i32'], 'i32'], __errno_location: location },
  { connect: [['i32', 'ptr', 'u32'], 'i32'], __errno_location: location },
  {
    bind: [['i32', 'ptr', 'u32'], 'i32'], sendto: [['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], 'i32'],
    recvfrom: [['i32', 'ptr', 'u64', 'i32', 'ptr', 'ptr'], 'i32'], __errno_location: location,
  },
  { ioctl: [['i32', 'u64', 'ptr'], 'i32'], __errno_location: location },
]

const loadBun = (group: Readonly<Record<string, Signature>>): Library => {
  const { dlopen, read } = require('bun:ffi')
  const table = Object.fromEntries(Object.entries(group).map(([name, [args, returns]]) => [name, { args, returns }]))
  const calls: Record<string, Call> = dlopen('libc.so.6', table).symbols
  return { calls, errno: () => read.i32(calls['__errno_location']!(), 0) }
}

const loadNode = (group: Readonly<Record<string, Signature>>): Library => {
  const { dlopen, getInt32 } = process.getBuiltinModule('node:ffi')
  const long = { i32: 'int32', u32: 'uint32', u64: 'uint64', ptr: 'pointer' } as const
  const table = Object.fromEntries(Object.entries(group).map(([name, [args, returns]]) =>
    [name, { arguments: args.map(width => long[width]), return: long[returns] }]))
  const { functions } = dlopen(null, table)
  const calls = functions as unknown as Record<string, Call>
  return { calls, errno: () => getInt32(calls['__errno_location']!() as unknown as bigint) }
}

const loaded = new Map<string, Library>()

const libraryOf = (name: string): Library => {
  const known = loaded.get(name)
  if (known !== undefined) return known
  const group = groups.find(table => name in table)!
  const library = process.versions['bun'] ? loadBun(group) : loadNode(group)
  for (const call of Object.keys(group)) if (!loaded.has(call)) loaded.set(call, library)
  return library
}

/** A system call failed. `call` is its name, `code` the errno name, `path` what it was about if that is a file. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  readonly call: string
  readonly code: string
  readonly path: string | undefined
  constructor(call: string, errno: number, path?: string) {
    super(`${call}${path === undefined ? '' : ` ${path}`}: ${errnoName(errno)}`)
    this.call = call
    this.code = errnoName(errno)
    this.path = path
  }
}

const EINTR = 4
const EINVAL = 22

const invoke = (name: string, path: string | undefined, ...args: Argument[]): number => {
  const { calls, errno } = libraryOf(name)
  for (;;) {
    const result = calls[name]!(...args)
    if (result >= 0) return result
    // No JavaScript that enters the runtime may stand between the call and this line, or errno is another's.
    const error = errno()
    if (error !== EINTR) throw new SyscallError(name, error, path)
  }
}

const utf8 = new TextEncoder()

/** A path for C. @throws SyscallError EINVAL when it contains a NUL, at which C would end it */
const cString = (call: string, path: string): Uint8Array => {
  if (path.includes('\0')) throw new SyscallError(call, EINVAL, JSON.stringify(path))
  return utf8.encode(`${path}\0`)
}

// include/uapi/asm-generic/fcntl.h
export const openFlags = {
  read: 0, write: 1, readWrite: 2, create: 0o100, exclusive: 0o200, truncate: 0o1000, append: 0o2000, nonblock: 0o4000,
} as const
const O_CLOEXEC = 0o2000000

/** open(2), closed on exec. @param flags a sum of `openFlags` @throws SyscallError */
export const openFile = (path: string, flags: number, mode = 0): number =>
  invoke('open', path, cString('open', path), flags | O_CLOEXEC, mode)

/** read(2): at most the size of `buffer`. @returns the number of bytes, 0 at the end @throws SyscallError */
export const read = (fd: number, buffer: Uint8Array): number =>
  invoke('read', undefined, fd, buffer, BigInt(buffer.length))

const [POLLIN, POLLOUT] = [1, 4]

const polls = (fd: number, events: number, milliseconds: number): boolean =>
  invoke('poll', undefined, new Uint8Array(new Int32Array([fd, events]).buffer), 1n, milliseconds) > 0

/** Whether a descriptor has something to read, or has ended, within some milliseconds: poll(2). @throws SyscallError */
export const isReadable = (fd: number, milliseconds: number): boolean => polls(fd, POLLIN, milliseconds)

/** Whether a socket that connects without waiting is connected, or has failed: poll(2). @throws SyscallError */
export const isDecided = (fd: number): boolean => polls(fd, POLLOUT, 0)

/** write(2). @returns the number of bytes that were taken @throws SyscallError */
export const write = (fd: number, data: Uint8Array): number => invoke('write', undefined, fd, data, BigInt(data.length))

/** close(2). */
export const close = (fd: number): void => { libraryOf('close').calls['close']!(fd) }

/** unlink(2). @throws SyscallError */
export const unlink = (path: string): void => { invoke('unlink', path, cString('unlink', path)) }

const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const STATX_BASIC = 0x7ff
const STATX_SIZE = 256

/** statx(2) of a path, through symbolic links, or of an open file. @returns a struct statx @throws SyscallError */
export const statx = (file: string | number): Uint8Array => {
  const buffer = new Uint8Array(STATX_SIZE)
  if (typeof file === 'number') {
    invoke('statx', undefined, file, cString('statx', ''), AT_EMPTY_PATH, STATX_BASIC, buffer)
  } else {
    invoke('statx', file, AT_FDCWD, cString('statx', file), 0, STATX_BASIC, buffer)
  }
  return buffer
}

/** Sets when a file was last used and changed, in whole seconds since the epoch: utimensat(2). @throws SyscallError */
export const setTimes = (path: string, seconds: number): void => {
  const times = new Uint8Array(new BigInt64Array([BigInt(seconds), 0n, BigInt(seconds), 0n]).buffer)
  invoke('utimensat', path, AT_FDCWD, cString('utimensat', path), times, 0)
}

/** socket(2). Returns the file descriptor. @throws SyscallError */
export const socket = (family: number, type: number, protocol: number): number =>
  invoke('socket', undefined, family, type, protocol)

/** setsockopt(2) with an int value. @throws SyscallError */
export const setsockopt = (fd: number, level: number, name: number, value: number): void => {
  invoke('setsockopt', undefined, fd, level, name, new Uint8Array(new Int32Array([value]).buffer), 4)
}

/** bind(2). @param own a struct sockaddr @throws SyscallError */
export const bind = (fd: number, own: Uint8Array): void => { invoke('bind', undefined, fd, own, own.length) }

/** connect(2). @param address a struct sockaddr @throws SyscallError EINPROGRESS for a socket that does not wait */
export const connect = (fd: number, address: Uint8Array): void => {
  invoke('connect', undefined, fd, address, address.length)
}

/** sendto(2). @param address a struct sockaddr @throws SyscallError */
export const sendTo = (fd: number, data: Uint8Array, address: Uint8Array): void => {
  invoke('sendto', undefined, fd, data, BigInt(data.length), 0, address, address.length)
}

/** recvfrom(2). @param address gets the sender's struct sockaddr @returns the number of bytes @throws SyscallError */
export const receiveFrom = (fd: number, buffer: Uint8Array, address: Uint8Array): number => {
  const room = new Uint8Array(new Uint32Array([address.length]).buffer)
  return invoke('recvfrom', undefined, fd, buffer, BigInt(buffer.length), 0, address, room)
}

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const LONGEST_SOCKET_NAME = 107 // sun_path of include/uapi/linux/un.h, less a closing NUL

/**
 * A stream socket that is connected to another process, for use with `isReadable`: connect(2), unix(7).
 * @param name a path, or behind a NUL a name in the abstract namespace
 * @throws SyscallError
 */
export const connectUnix = (name: string): number => {
  const path = utf8.encode(name)
  if (path.length > LONGEST_SOCKET_NAME) throw new SyscallError('connect', EINVAL, name)
  const address = Uint8Array.of(AF_UNIX, 0, ...path, ...name.startsWith('\0') ? [] : [0])
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  try {
    invoke('connect', name, fd, address, address.length)
  } catch (error) {
    close(fd)
    throw error
  }
  return fd
}

const CLONE_NEWNET = 0x40000000

/** Moves the calling thread into the network namespace behind `fd`: setns(2). @throws SyscallError */
export const enterNetns = (fd: number): void => { invoke('setns', undefined, fd, CLONE_NEWNET) }

/** Moves the calling thread into a network namespace of its own: unshare(2). @throws SyscallError */
export const newNetns = (): void => { invoke('unshare', undefined, CLONE_NEWNET) }

// include/uapi/asm-generic/fcntl.h
const locks = { shared: 1, exclusive: 2, none: 8 } as const
const LOCK_NB = 4

/**
 * Takes, or gives back, the flock(2) of an open file, waiting for it. Closing the file gives it back too.
 * @throws SyscallError
 */
export const lock = (fd: number, kind: keyof typeof locks): void => { invoke('flock', undefined, fd, locks[kind]) }

/** Takes the exclusive flock(2) of an open file if it can be had at once. @throws SyscallError */
export const tryLock = (fd: number): boolean => {
  try {
    invoke('flock', undefined, fd, locks.exclusive | LOCK_NB)
    return true
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EAGAIN') return false
    throw error
  }
}

/** ioctl(2). @param argument what the request takes: memory, or a number itself @throws SyscallError */
export const ioctl = (fd: number, request: number, argument: Uint8Array | number): void => {
  // As a pointer a number has to be a bigint for Node.
  invoke('ioctl', undefined, fd, BigInt(request), typeof argument === 'number' ? BigInt(argument) : argument)
}

/** The address of memory, for structures that point to others. It must be kept alive, and in use, until it is read. */
export const addressOf = (memory: Uint8Array): bigint =>
  process.versions['bun']
    ? BigInt(require('bun:ffi').ptr(memory))
    : process.getBuiltinModule('node:ffi').getRawPointer(memory)
